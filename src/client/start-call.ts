import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { unlessAborted } from './abort.ts';
import type { Connection } from './connection.ts';
import { isMethodNotFound } from './errors.ts';
import { callTool, createTask, type CallParams } from './requests.ts';
import type { TaskSnapshot } from './snapshot.ts';
import type { Mode, ToolList } from './tool-list.ts';

/** What a call began as. */
export interface Call extends CallParams {
  /** How it would be made, where the tool can be called both ways. */
  wish: Mode;
  /** The lifetime to ask for, in milliseconds. */
  ttl: number | undefined;
}

/** What became of it: a task that the server acknowledged, or the result already. */
type Started = { task: TaskSnapshot & { taskId: string } } | { result: CallToolResult };

/**
 * Calls a tool in the way that it can be called.
 * @param onMode is told how it is called, just before it is
 * @param signal aborts a plain call, or the question how to call; never a call as a task
 */
export async function startCall(
  connection: Connection,
  tools: ToolList,
  call: Call,
  onMode: (mode: Mode) => void,
  signal: AbortSignal,
): Promise<Started> {
  const modeOf = () => unlessAborted(tools.modeOf(call.name, call.wish), signal);
  const send = async (mode: Mode): Promise<Started> => {
    onMode(mode);
    if (mode === 'task') return createTask(connection, call, call.ttl);
    return { result: await callTool(connection, call, { signal }) };
  };
  signal.throwIfAborted();
  const mode = await modeOf();
  try {
    return await send(mode);
  } catch (error) {
    // Nothing has run: the tool is not, or is no more, what the list says of it.
    if (!isMethodNotFound(error)) throw error;
    tools.drop();
    const other = await modeOf();
    if (other === mode) throw error;
    return send(other);
  }
}
