import { expect } from 'vitest';
import type { Answer, Arguments, Generation, Means, Session } from './clients/client.ts';

/** Something that a client does, and what must come of it. */
export interface Act {
  /** A column of the README's table. */
  readonly column: string;
  readonly title: string;
  /** A client plays only what it has the means for. */
  readonly needs: Means;
  readonly play: (session: Session) => Promise<unknown>;
  readonly outcome: (generation: Generation) => unknown;
}

/** The user of every client. */
export const answer: Answer = (fields) =>
  Object.fromEntries(fields.map((field) => [field, field === 'name' ? 'Ada' : true]));

export const done = (text: unknown) => ({ status: 'completed', text, isError: false });
const isError = (text: string) => ({ status: 'completed', text, isError: true });
const failed = (message: string) => ({
  status: 'failed',
  message: expect.stringContaining(message) as string,
});

/** What {@link answer} enters where `multi_input` asks. */
const BOTH = JSON.stringify([
  { action: 'accept', content: { name: 'Ada' } },
  { action: 'accept', content: { confirm: true } },
]);

const call =
  (tool: string, args: Arguments = {}) =>
  (session: Session) =>
    session.call(tool, args);

const task =
  (tool: string, args: Arguments = {}) =>
  async (session: Session) =>
    (await session.start!(tool, args)).outcome;

export const ACTS: readonly Act[] = [
  {
    column: 'call',
    title: 'has the result of a call',
    needs: 'call',
    play: call('greet', { name: 'Ada' }),
    outcome: () => done('Hello, Ada!'),
  },
  {
    column: 'call',
    title: 'has the result of a tool that may be a task',
    needs: 'call',
    play: call('slow_compute', { seconds: 0.1 }),
    outcome: () => done('It took 0.1 s'),
  },
  {
    column: 'call',
    title: 'is told of a tool that throws',
    needs: 'call',
    play: call('test_error_handling'),
    outcome: () => isError('This tool intentionally returns an error for testing'),
  },
  {
    column: 'call',
    title: 'is told of a tool that ends its thread',
    needs: 'call',
    play: call('protocol_error_job'),
    outcome: () => failed('the thread exited with code 3'),
  },
  {
    column: 'progress',
    title: 'is told of the progress of a call',
    needs: 'callFollowed',
    play: (session) => session.callFollowed!('test_tool_with_progress', {}),
    outcome: () => ({ outcome: done('Reported three times'), progress: [0, 50, 100] }),
  },
  {
    column: 'input',
    title: 'answers a tool that asks its user',
    needs: 'call',
    play: call('confirm_delete', { filename: 'a.txt' }),
    outcome: () => done('Deleted a.txt'),
  },
  {
    column: 'input',
    title: 'answers a tool that asks its user twice at once',
    needs: 'call',
    play: call('multi_input'),
    outcome: () => done(BOTH),
  },
  {
    column: 'input',
    title: 'answers a tool that asks its user before its work',
    needs: 'call',
    play: call('test_input_required_result_elicitation'),
    outcome: () => done('Hello, Ada!'),
  },
  {
    column: 'task',
    title: 'follows a task to its result',
    needs: 'start',
    play: task('slow_compute', { seconds: 0.1 }),
    outcome: () => done('It took 0.1 s'),
  },
  {
    column: 'task',
    title: 'is told of a task whose tool throws',
    needs: 'start',
    play: task('failing_job'),
    // 2025-11-25, tasks, "Result Retrieval": a tool's error is the task's failure; since 2026-07-28 it is a result.
    outcome: (generation) =>
      generation === '2025-11-25'
        ? failed('The job failed, as it always does')
        : isError('The job failed, as it always does'),
  },
  {
    column: 'task',
    title: 'is told of a task whose tool ends its thread',
    needs: 'start',
    play: task('protocol_error_job'),
    outcome: () => failed('the thread exited with code 3'),
  },
  {
    column: 'cancel',
    title: 'cancels a task',
    needs: 'start',
    async play(session) {
      const { outcome, cancel } = await session.start!('slow_compute', { seconds: 600 });
      await cancel();
      return outcome;
    },
    outcome: () => ({ status: 'cancelled' }),
  },
  {
    column: 'input in a task',
    title: 'answers a task that asks its user',
    needs: 'start',
    play: task('confirm_delete', { filename: 'a.txt' }),
    outcome: () => done('Deleted a.txt'),
  },
  {
    column: 'input in a task',
    title: 'answers a task that asks its user twice at once',
    needs: 'start',
    play: task('multi_input'),
    outcome: () => done(BOTH),
  },
  {
    column: 'input in a task',
    title: 'answers a tool that asks its user before it becomes a task',
    needs: 'start',
    play: task('test_tool_with_task'),
    outcome: () => done('Hello, Ada!'),
  },
  {
    column: 'get',
    title: 'asks for the status of a task',
    needs: 'status',
    async play(session) {
      const { taskId, outcome, cancel } = await session.start!('slow_compute', { seconds: 600 });
      const before = await session.status!(taskId);
      await cancel();
      await outcome;
      return [before, await session.status!(taskId)];
    },
    outcome: () => ['working', 'cancelled'],
  },
  {
    column: 'list',
    title: 'lists tasks',
    needs: 'list',
    async play(session) {
      const { taskId, outcome } = await session.start!('slow_compute', { seconds: 0 });
      await outcome;
      return (await session.list!()).includes(taskId);
    },
    outcome: () => true,
  },
];
