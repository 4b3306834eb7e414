import { expect } from 'vitest';
import type { Generation, Place } from '../real-clients/clients/client.ts';
import type { Inspector, Json } from './inspector.ts';

/** Something that is done with the Inspector's command line, and what must come of it. */
interface InspectorAct {
  /** Columns of the README's table. */
  readonly columns: readonly string[];
  readonly title: string;
  /** Where it can be done; everywhere without it. */
  readonly generation?: Generation;
  readonly transport?: Place['transport'];
  /** On the connections `one` and, over HTTP, `another`. */
  readonly play: (inspector: Inspector, place: Place, generation: Generation) => Promise<unknown>;
  readonly outcome: (generation: Generation) => unknown;
}

const text = (value: string) => ({ content: [{ type: 'text', text: value }] });
const error = (message: string) => ({
  error: { message: expect.stringContaining(message) as string },
});

const call =
  (...args: string[]) =>
  (inspector: Inspector) =>
    inspector.call('one', 'tools/call', ...args);

/** Calls a tool, and answers what it asks. */
const callAndAnswer = (args: readonly string[], answer: string) => async (inspector: Inspector) => {
  const { elicitationPending } = await inspector.call('one', 'tools/call', ...args);
  return inspector.call('one', 'elicitation/respond', elicitationPending['elicitationId'] as string, answer);
};

export const INSPECTOR_ACTS: readonly InspectorAct[] = [
  {
    columns: ['call'],
    title: 'has the result of a call',
    play: call('greet', 'name:=Ada'),
    outcome: () => text('Hello, Ada!'),
  },
  {
    columns: ['call'],
    title: 'is told of a tool that throws',
    play: call('test_error_handling'),
    outcome: () => ({ isError: true, ...text('This tool intentionally returns an error for testing') }),
  },
  {
    columns: ['call'],
    title: 'finds nothing wrong with the tools',
    play: (inspector, place, generation) =>
      inspector.callOnce(place, generation, '--method', 'tools/list', '--strict'),
    outcome: () => ({
      result: { tools: expect.arrayContaining([expect.objectContaining({ name: 'greet' })]) as Json[] },
    }),
  },
  {
    columns: ['call'],
    title: 'connects for one call',
    play: (inspector, place, generation) =>
      inspector.callOnce(
        place,
        generation,
        '--method',
        'tools/call',
        '--tool-name',
        'greet',
        '--tool-arg',
        'name=Ada',
      ),
    outcome: () => ({ result: text('Hello, Ada!') }),
  },
  {
    columns: ['input'],
    title: 'answers a tool that asks its user before its work',
    play: callAndAnswer(['test_input_required_result_elicitation'], 'name:=Ada'),
    outcome: () => text('Hello, Ada!'),
  },
  {
    columns: ['task'],
    title: 'follows a task to its result',
    play: call('slow_compute', 'seconds:=0.1', '--task'),
    outcome: () => text('It took 0.1 s'),
  },
  {
    columns: ['task'],
    title: 'is told of a task whose tool throws',
    play: call('failing_job'),
    outcome: (generation) =>
      generation === '2025-11-25'
        ? error('The job failed, as it always does')
        : { isError: true, ...text('The job failed, as it always does') },
  },
  {
    columns: ['task'],
    title: 'is told of a task whose tool ends its thread',
    play: call('protocol_error_job', '--task'),
    outcome: () => error('the thread exited with code 3'),
  },
  {
    columns: ['input in a task'],
    title: 'answers a task that asks its user',
    play: callAndAnswer(['confirm_delete', 'filename:=a.txt', '--task'], 'confirm:=true'),
    outcome: () => text('Deleted a.txt'),
  },
  {
    columns: ['list', 'get'],
    title: 'lists tasks, and asks for the status and the result of one',
    generation: '2025-11-25',
    async play(inspector) {
      await inspector.call('one', 'tools/call', 'slow_compute', 'seconds:=0', '--task');
      const { tasks } = await inspector.call('one', 'tasks/list');
      const { taskId } = (tasks as Json[]).at(-1)!;
      return [
        await inspector.call('one', 'tasks/get', taskId as string),
        await inspector.call('one', 'tasks/result', taskId as string),
      ];
    },
    outcome: () => [{ task: { status: 'completed' } }, text('It took 0 s')],
  },
  {
    columns: ['cancel', 'get'],
    title: "asks for the status of another connection's task, and cancels it",
    transport: 'http',
    async play(inspector) {
      const { elicitationPending } = await inspector.call('one', 'tools/call', 'stop_me');
      const { message: taskId, elicitationId } = elicitationPending as { [key: string]: string };
      const before = await inspector.call('another', 'tasks/get', taskId!);
      await inspector.call('another', 'tasks/cancel', taskId!);
      const after = await inspector.call('another', 'tasks/get', taskId!);
      await inspector.call('one', 'elicitation/respond', elicitationId!, '--cancel');
      return [before, after];
    },
    outcome: () => [{ task: { status: 'input_required' } }, { task: { status: 'cancelled' } }],
  },
];
