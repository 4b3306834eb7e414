import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection } from '../../src/stores/sqlite-connection.ts';
import { loadDriver } from '../../src/stores/sqlite-driver.ts';
import { callOf, endedAt, key, recordOf, whole } from '../../src/stores/sqlite-rows.ts';
import { migrate } from '../../src/stores/sqlite-schema.ts';
import { ending, newTask, transition, type Outcome, type Task } from '../../src/tasks/task.ts';
import { defaultOwner } from '../../src/wire/owner.ts';
import { compute } from '../soak/compute.ts';
import { Random } from '../soak/random.ts';
import { KINDS, type Kind } from './kinds.ts';
import type { Entry, Ledger } from './ledger.ts';
import type { Place } from './place.ts';
import { STEP_ROUNDS } from './work.ts';

const ROWS = 80_000;
const HOUR_MS = 3_600_000;
/** Of a server that is not there any more; no process has this number. */
const GONE = { host: 'another', pid: 2 ** 30, start: '0' };
const OPEN_EACH = 10;
/** Of the tasks that go on from a checkpoint. */
const STEPS_DONE = 3;

const MARK = { word: 'from an old file' };

/** A file in the first schema that there was, full of tasks. */
export class OldFile {
  readonly #path: string;
  /** A call of this file, and the task that it became. */
  readonly #tasks: readonly Task[];

  private constructor(path: string, tasks: readonly Task[]) {
    this.#path = path;
    this.#tasks = tasks;
  }

  static async make({ folder, owners }: Place): Promise<OldFile> {
    const path = join(folder, 'old.db');
    const { DatabaseSync, name } = await loadDriver();
    const connection = new Connection({ DatabaseSync, name }, path, 'PRAGMA journal_mode = WAL');
    migrate(connection, 1);
    const { host, pid, start } = GONE;
    connection.run(
      'INSERT INTO instances (id, host, pid, process_start, beat) VALUES (1, ?, ?, ?, 7)',
      host,
      pid,
      start,
    );
    const tasks = owners.flatMap(({ name }) => tasksOf(name));
    connection.exec('BEGIN');
    for (const task of tasks) insert(connection, task);
    connection.exec('COMMIT');
    connection.close();
    return new OldFile(path, tasks);
  }

  /** A copy, and in the ledger all that is under way in it and some of what has ended. */
  async copy(to: string, ledger: Ledger, random: Random, round: number): Promise<void> {
    await copyFile(this.#path, to);
    for (const task of this.#tasks)
      if (task.outcome === undefined || random.next() < 0.003) enter(ledger, task, round);
  }
}

/** Most have ended; the rest is in each state that there is. */
function tasksOf(name: string): Task[] {
  const clientId = name;
  const owner = defaultOwner({ authInfo: { token: '', clientId, scopes: [] } });
  const random = new Random(name.length);
  const tasks: Task[] = [];
  const add = (tool: string, then: (task: Task, n: number) => Task) => {
    const kind = KINDS.find((kind) => kind.tool === tool)!;
    const n = tasks.length;
    const args = { nonce: `${name}-old-${n}`, ...(tool === 'quick' ? MARK : kind.args(random)) };
    const call = { tool, args, lane: 'cpu' as const, ...(kind.isSafe && { idempotent: true }) };
    const clock = { now: () => Date.now() };
    tasks.push(then(newTask({ owner, call, ttlMs: 10 * HOUR_MS, pollIntervalMs: 1000 }, clock), n));
  };
  const running = (task: Task) =>
    transition(task, 'running', { startedAt: Date.now(), thread: 1, attempt: 1 });
  for (let n = 0; n < ROWS / 2; n++)
    add('quick', (task) => {
      const structuredContent = MARK;
      const content = [{ type: 'text', text: JSON.stringify(structuredContent) }];
      const outcome: Outcome = { type: 'result', result: { content, structuredContent }, isError: false };
      const { state, ...words } = ending(outcome);
      return transition(running(task), state, { outcome, endedAt: Date.now(), ...words });
    });
  for (let n = 0; n < OPEN_EACH; n++) {
    add('compute', (task) => task);
    add('wait', running);
    add('go_on', (task) => {
      const kept = {
        step: STEPS_DONE,
        value: compute(task.call.args['seed'] as number, STEPS_DONE * STEP_ROUNDS),
      };
      return { ...running(task), checkpoint: { value: JSON.stringify(kept) } };
    });
    add('ask_twice', (task) => {
      const properties = { n: { type: 'number' } };
      const requestedSchema = { type: 'object', properties, required: ['n'] };
      const question = {
        kind: 'input' as const,
        key: `first-${String(task.call.args['nonce'])}`,
        params: { mode: 'form', message: 'First?', requestedSchema },
      };
      return transition(running(task), 'input_required', { asked: [{ key: question.key, question }] });
    });
  }
  return tasks;
}

function insert(connection: Connection, task: Task): void {
  const { taskId, owner, state, call, outcome, expiresAt } = task;
  const result = outcome?.type === 'result' ? JSON.stringify(outcome.result) : null;
  connection.run(
    `INSERT INTO tasks (task_id, owner, state, instance, expires_at, ended_at, record, call, result)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    key(taskId),
    key(owner),
    state,
    outcome === undefined ? 1 : null,
    whole(expiresAt),
    endedAt(task),
    recordOf(task),
    callOf(call),
    result,
  );
}

function enter(ledger: Ledger, { taskId, call, owner, outcome, asked }: Task, round: number): void {
  const kind: Kind = KINDS.find(({ tool }) => tool === call.tool)!;
  const [, , name = ''] = JSON.parse(owner.slice('token:'.length)) as string[];
  const entry: Entry = {
    kind,
    owner: name,
    args: call.args,
    nonce: call.args['nonce'] as string,
    key: undefined,
    round,
    taskId,
    cancel: 'no',
    answered: new Map(),
    before: { ...ledger.blows },
    ...(outcome !== undefined && { isOld: true }),
    ...(asked !== undefined && { asks: asked.map(({ key }) => key) }),
  };
  ledger.entries.push(entry);
}
