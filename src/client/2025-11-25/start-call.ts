import { unlessAborted } from '../abort.ts';
import { isMethodNotFound } from '../errors.ts';
import type { Call, Mode, Started } from '../wire.ts';
import type { Connection } from './connection.ts';
import { callTool, createTask } from './requests.ts';
import type { ToolList } from './tool-list.ts';

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
    if (mode === 'task') return createTask(connection, call);
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
