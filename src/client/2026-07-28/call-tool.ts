import type { CallToolResult, Result } from '@modelcontextprotocol/sdk/types.js';
import { IDEMPOTENCY_META } from '../../wire/meta.ts';
import { sleep, unlessAborted } from '../abort.ts';
import type { AnswerOptions } from '../answers.ts';
import { InvalidAnswerError, TaskError } from '../errors.ts';
import { parseAnswer } from '../schema.ts';
import { toSnapshot } from '../snapshot.ts';
import type { Call, Started } from '../wire.ts';
import type { Connection } from './connection.ts';
import { HEADER_MISMATCH } from './names.ts';
import { answerAll, type Reply } from './questions.ts';
import { CreateTaskResultSchema, InputRequiredResultSchema, ToolResultSchema, toTask } from './schemas.ts';
import type { ToolList } from './tool-list.ts';

const METHOD = 'tools/call';
/** How often one call may be made again with answers: far beyond any dialogue, short of for ever. */
const MAX_ROUNDS = 50;
/** Before a call is made again that the server asked nothing for; doubled from round to round. */
const PAUSE_MS = 100;
const MAX_PAUSE_MS = 5000;

/**
 * Calls a tool, and answers what the server asks before it does anything: then the call is made again with
 * the answers, and with the state that came with the question (multi round-trip requests).
 */
export async function callTool(
  connection: Connection,
  tools: ToolList,
  options: AnswerOptions,
  call: Call,
  signal: AbortSignal,
): Promise<Started> {
  let more: { inputResponses?: Record<string, Reply>; requestState?: string } = {};
  for (let round = 0; round <= MAX_ROUNDS; round++) {
    const result = await send(connection, tools, { ...encodeCall(call), ...more }, signal);
    const started = decode(result);
    if (started !== undefined) return started;
    const { inputRequests, requestState } = parseAnswer(METHOD, InputRequiredResultSchema, result);
    if (inputRequests === undefined) await sleep(Math.min(PAUSE_MS * 2 ** round, MAX_PAUSE_MS), signal);
    more = {
      ...(inputRequests !== undefined && {
        inputResponses: await unlessAborted(answerAll(inputRequests, options, signal), signal),
      }),
      ...(requestState !== undefined && { requestState }),
    };
  }
  throw new InvalidAnswerError(`${METHOD}: the server still asks for input after ${MAX_ROUNDS} answers`);
}

/** Sends the call; once more, if the headers of the arguments were not what the server wants by now. */
async function send(
  connection: Connection,
  tools: ToolList,
  params: { name: string; arguments: Record<string, unknown> },
  signal: AbortSignal,
): Promise<Result> {
  const attempt = async () => {
    const headers = await unlessAborted(tools.headersOf(params.name, params.arguments), signal);
    return connection.ask(METHOD, params, {
      signal,
      headers,
      // Nobody waits for a task whose call was taken back.
      late: (result) => {
        if (result['resultType'] !== 'task' || typeof result['taskId'] !== 'string') return;
        connection.ask('tasks/cancel', { taskId: result['taskId'] }).catch(() => {});
      },
    });
  };
  try {
    return await attempt();
  } catch (error) {
    if (!connection.hasHeaders || !(error instanceof TaskError) || error.code !== HEADER_MISMATCH)
      throw error;
    tools.drop();
    return attempt();
  }
}

/** A task, or a result; undefined where the server asks for input first. */
function decode(answer: Result): Started | undefined {
  const { resultType = 'complete' } = answer as { resultType?: unknown };
  switch (resultType) {
    case 'complete':
      return { result: parseAnswer<CallToolResult>(METHOD, ToolResultSchema, answer) };
    case 'task': {
      const task = parseAnswer(METHOD, CreateTaskResultSchema, answer);
      return { task: { ...toSnapshot(toTask(task)), taskId: task.taskId } };
    }
    case 'input_required':
      return undefined;
    default:
      throw new InvalidAnswerError(
        `${METHOD}: the server's answer has an unknown resultType: ${JSON.stringify(resultType)}`,
      );
  }
}

function encodeCall({ name, args = {}, progressToken, idempotencyKey }: Call) {
  const meta = {
    ...(progressToken !== undefined && { progressToken }),
    ...(idempotencyKey !== undefined && { [IDEMPOTENCY_META]: idempotencyKey }),
  };
  return { name, arguments: args, _meta: meta };
}
