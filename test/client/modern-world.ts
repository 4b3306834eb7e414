import {
  ModernServer,
  Refusal,
  acknowledge,
  created,
  detailed,
  form,
  said,
  sampling,
  tell,
} from './modern-server.ts';

// oxlint-disable-next-line typescript/no-explicit-any
type Json = Record<string, any>;

/** How a task of each tool stands when it is asked for the n-th time, from 1. */
const TASKS: Record<string, (n: number, answers: Json | undefined) => [status: string, more?: Json]> = {
  work: (n) => (n < 3 ? ['working'] : ['completed', { result: said('worked') }]),
  broken: () => ['completed', { result: said('it broke', { isError: true }) }],
  failing: () => ['failed', { error: { code: -32603, message: 'the worker died' } }],
  endless: () => ['working'],
  ask: (_, answers) =>
    answers === undefined
      ? ['input_required', { inputRequests: { name: form('Your name?'), word: sampling('A word?') } }]
      : ['completed', { result: said(`${answers['name'].content.answer} ${answers['word'].content.text}`) }],
  // Its end is never told to who asks, only to who listens.
  watched: () => ['working'],
};

/** A server with a tool of each kind, that keeps its own tasks: nothing of it knows the transport. */
export function modernWorld(): ModernServer {
  const tasks = new Map<string, { tool: string; asked: number; answers?: Json; isCancelled?: boolean }>();
  const taskOf = ({ taskId }: Json) => {
    const task = tasks.get(taskId as string);
    if (task === undefined) throw new Refusal(-32602, 'Task not found');
    return task;
  };
  return new ModernServer({
    'tools/list': () => ({
      resultType: 'complete',
      tools: ['greet', 'ask_first', ...Object.keys(TASKS)].map((name) => ({
        name,
        inputSchema: { type: 'object' },
      })),
      ttlMs: 60_000,
      cacheScope: 'public',
    }),
    'tools/call'({ name, arguments: args, inputResponses, _meta }, { notify }) {
      const { progressToken } = _meta as Json;
      if (progressToken !== undefined) notify('notifications/progress', { progressToken, progress: 1 });
      if (name === 'greet') return said(`Hello, ${args.name}!`);
      if (name === 'ask_first') {
        return inputResponses === undefined
          ? { resultType: 'input_required', inputRequests: { sure: form('Sure?') }, requestState: 's' }
          : said(inputResponses.sure.action as string);
      }
      if (TASKS[name as string] === undefined) throw new Refusal(-32602, `Unknown tool: ${name}`);
      const taskId = `task ${tasks.size + 1} (ü)`;
      tasks.set(taskId, { tool: name as string, asked: 0 });
      return created(taskId);
    },
    'tasks/get'(params) {
      const task = taskOf(params);
      const taskId = params['taskId'] as string;
      if (task.isCancelled) return detailed(taskId, 'cancelled', {}, 1000);
      const [status, more] = TASKS[task.tool]!(++task.asked, task.answers);
      return detailed(taskId, status, more, task.asked);
    },
    'tasks/update'(params) {
      taskOf(params).answers = params['inputResponses'] as Json;
      return { resultType: 'complete' };
    },
    'tasks/cancel'(params) {
      taskOf(params).isCancelled = true;
      return { resultType: 'complete' };
    },
    'subscriptions/listen'({ notifications }, exchange) {
      const taskIds = (notifications.taskIds as string[]).filter((id) => tasks.get(id)?.tool === 'watched');
      acknowledge(exchange, taskIds);
      for (const id of taskIds) tell(exchange, detailed(id, 'completed', { result: said('seen') }, 1000));
      return new Promise<never>(() => {});
    },
  });
}
