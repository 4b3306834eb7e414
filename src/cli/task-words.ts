import type { KeptTask } from '../stores/sqlite-inspector.ts';
import type { Task } from '../tasks/task.ts';
import { table } from './table.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Of a value that is printed among others. */
const LONGEST = 500;

/** Said of a task that has not ended, and has no server. */
const LEFT = 'the next server takes it over';

/** The table of `tasks list`. */
export function rowsOf(found: readonly KeptTask[], width: number | undefined): string[] {
  const now = Date.now();
  const rows = found.map(({ task, server }) => [
    task.taskId,
    task.call.tool,
    task.owner,
    task.state,
    timeOf(now - task.createdAt),
    task.attempt?.toString(),
    isLeft({ task, server }) ? LEFT : task.statusMessage,
  ]);
  return table([['ID', 'TOOL', 'OWNER', 'STATUS', 'AGE', 'ATTEMPT', 'MESSAGE'], ...rows], width);
}

/** All that is known of a task, for people. */
export function factsOf(kept: KeptTask): string[] {
  const { task } = kept;
  const { call, asked = [], interruptions = 0 } = task;
  const now = Date.now();
  const at = (time: number | undefined) =>
    time && `${iso(time)} (${time > now ? `in ${timeOf(time - now)}` : `${timeOf(now - time)} ago`})`;
  const facts: Record<string, string | number | undefined> = {
    id: task.taskId,
    tool: call.tool,
    owner: task.owner,
    status: task.state,
    message: task.statusMessage,
    created: at(task.createdAt),
    started: at(task.startedAt),
    ended: at(task.endedAt),
    expires: at(task.expiresAt),
    attempt: attemptOf(task),
    interrupted: interruptions > 0 ? `${interruptions} ${interruptions === 1 ? 'time' : 'times'}` : undefined,
    'time limit': call.timeoutMs && timeOf(call.timeoutMs),
    idempotent: call.idempotent ? 'yes' : undefined,
    server: serverOf(kept),
    key: task.idempotencyKey,
    arguments: short(call.args),
    checkpoint: task.checkpoint && short(task.checkpoint.value),
    result: task.outcome?.type === 'result' ? short(task.outcome.result) : undefined,
    error: task.outcome?.type === 'error' ? `${task.outcome.message} (${task.outcome.code})` : undefined,
  };
  const questions = asked.map(({ key, question, answer }) => [
    'question',
    `${key}: ${short(question.params)}${answer ? `, answered: ${short(answer)}` : ', not answered yet'}`,
  ]);
  const known = Object.entries(facts).filter(([, fact]) => fact !== undefined);
  return table([...known.map(([name, fact]) => [name, String(fact)]), ...questions]);
}

/** A task as `tasks list --json` has it. Times are ISO 8601, and durations milliseconds. */
export function summaryOf(task: Task): Record<string, unknown> {
  const { taskId, owner, call, state, statusMessage, attempt, failures, interruptions, ttlMs } = task;
  return {
    taskId,
    tool: call.tool,
    owner,
    status: state,
    statusMessage,
    createdAt: iso(task.createdAt),
    lastUpdatedAt: iso(task.updatedAt),
    startedAt: iso(task.startedAt),
    endedAt: iso(task.endedAt),
    expiresAt: iso(task.expiresAt),
    ttlMs,
    attempt,
    failures,
    interruptions,
  };
}

/** A task as `tasks get --json` has it: the summary, and all else that is known. */
export function detailsOf({ task, server }: KeptTask): Record<string, unknown> {
  const { call, pollIntervalMs, thread, idempotencyKey, checkpoint, asked, outcome } = task;
  const { args, lane, timeoutMs, idempotent, retry } = call;
  return {
    ...summaryOf(task),
    arguments: args,
    workload: lane,
    timeoutMs,
    idempotent,
    retry,
    pollIntervalMs,
    thread,
    idempotencyKey,
    server,
    checkpoint: checkpoint?.value,
    questions: asked,
    outcome,
  };
}

function iso(time: number | undefined): string | undefined {
  return time === undefined ? undefined : new Date(time).toISOString();
}

/** A duration in the largest of the units that it fills. */
function timeOf(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.max(0, Math.floor(ms / SECOND_MS))}s`;
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)}m`;
  return ms < DAY_MS ? `${Math.floor(ms / HOUR_MS)}h` : `${Math.floor(ms / DAY_MS)}d`;
}

function short(value: unknown): string {
  const json = JSON.stringify(value) ?? 'undefined';
  return json.length > LONGEST ? `${json.slice(0, LONGEST)}… (${json.length} characters)` : json;
}

/** Runs that were interrupted do not count against the attempts of the call. */
function attemptOf({ call: { retry }, attempt, failures = 0 }: Task): string | undefined {
  if (attempt === undefined) return undefined;
  return retry === undefined ? String(attempt) : `${attempt} of ${attempt - 1 + retry.attempts - failures}`;
}

function isLeft({ task, server }: KeptTask): boolean {
  return task.outcome === undefined && (server === undefined || server.gone);
}

function serverOf({ task, server }: KeptTask): string | undefined {
  if (task.outcome !== undefined) return undefined;
  const { pid } = server ?? {};
  if (!isLeft({ task, server })) return `process ${pid}`;
  return pid === undefined ? `none: ${LEFT}` : `process ${pid}, which has gone: ${LEFT}`;
}
