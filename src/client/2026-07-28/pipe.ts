import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  isJSONRPCErrorResponse,
  isJSONRPCNotification,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type RequestId,
} from '@modelcontextprotocol/sdk/types.js';
import { onAbort } from '../abort.ts';
import { InvalidAnswerError, TaskError } from '../errors.ts';
import { forbiddenRequest, type Channel, type Listener, type Response, type SendOptions } from './channel.ts';

/** How many requests that were taken back are remembered, lest their response comes after all. */
const MAX_TAKEN_BACK = 1000;

/** How much of a malformed message an error quotes, in characters. */
const MAX_QUOTED = 200;

interface Waiting {
  readonly method: string;
  readonly resolve: (response: Response) => void;
  readonly reject: (error: Error) => void;
}

/** All messages over one transport: stdio, or whatever carries them whole and in order. */
export class Pipe implements Channel {
  readonly hasHeaders = false;
  readonly #transport: Transport;
  readonly #isStarted: boolean;
  readonly #waiting = new Map<RequestId, Waiting>();
  readonly #takenBack = new Map<RequestId, (response: Response) => void>();

  /** @param isStarted whether the transport has been started already */
  constructor(transport: Transport, isStarted: boolean) {
    this.#transport = transport;
    this.#isStarted = isStarted;
  }

  async open(listener: Listener): Promise<void> {
    const transport = this.#transport;
    const { onmessage, onerror, onclose } = transport;
    transport.onmessage = (message, extra) => {
      onmessage?.(message, extra);
      this.#take(message, listener);
    };
    transport.onerror = (error) => {
      onerror?.(error);
      listener.failed(error);
    };
    transport.onclose = () => {
      onclose?.();
      listener.closed();
    };
    if (!this.#isStarted) await transport.start();
  }

  send(request: JSONRPCRequest, { signal, late }: SendOptions): Promise<Response> {
    return new Promise((resolve, reject) => {
      const { id } = request;
      const settle = () => {
        off();
        this.#waiting.delete(id);
      };
      const off = onAbort(signal, () => {
        settle();
        this.#takeBack(id, signal.reason, late);
        reject(signal.reason as Error);
      });
      const waiting: Waiting = {
        method: request.method,
        resolve(response) {
          settle();
          resolve(response);
        },
        reject(error) {
          settle();
          reject(error);
        },
      };
      this.#waiting.set(id, waiting);
      this.#transport.send(request).catch(waiting.reject);
    });
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  #take(message: JSONRPCMessage, listener: Listener): void {
    if ('method' in message) {
      if (isJSONRPCNotification(message)) listener.notified(message, undefined);
      else listener.failed(forbiddenRequest(message));
      return;
    }
    const { id } = message;
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    const late = id === undefined ? undefined : this.#takenBack.get(id);
    if (id !== undefined) this.#takenBack.delete(id);
    if (isJSONRPCResultResponse(message)) return (waiting?.resolve ?? late)?.(message);
    if (!isJSONRPCErrorResponse(message)) {
      const what = `${waiting?.method ?? 'to no request'}: the server's answer is malformed`;
      const error = new InvalidAnswerError(`${what}: ${JSON.stringify(message).slice(0, MAX_QUOTED)}`);
      if (waiting === undefined) listener.failed(error);
      else waiting.reject(error);
      return;
    }
    if (id !== undefined) return (waiting?.resolve ?? late)?.(message);
    const { code, message: text, data } = message.error;
    listener.failed(new TaskError(code, text, { data }));
  }

  #takeBack(id: RequestId, reason: unknown, late: SendOptions['late']): void {
    if (late !== undefined) {
      this.#takenBack.set(id, late);
      const [oldest] = this.#takenBack.keys();
      if (this.#takenBack.size > MAX_TAKEN_BACK) this.#takenBack.delete(oldest!);
    }
    const params = { requestId: id, ...(reason instanceof Error && { reason: reason.message }) };
    void this.#transport.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params }).catch(() => {});
  }
}
