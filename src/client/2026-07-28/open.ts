import { mergeCapabilities } from '@modelcontextprotocol/sdk/shared/protocol.js';
import type { ClientCapabilities } from '@modelcontextprotocol/sdk/types.js';
import { VERSION } from '../../version.ts';
import { answerCapabilities } from '../answers.ts';
import { ConnectionClosedError, TaskError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { ConnectOptions } from '../options.ts';
import type { Route, Target } from '../target.ts';
import type { Wire } from '../wire.ts';
import type { Channel } from './channel.ts';
import { Connection, type Identity } from './connection.ts';
import { HttpChannel } from './http.ts';
import { REVISION, TASKS_EXTENSION, UNSUPPORTED_VERSION } from './names.ts';
import { Pipe } from './pipe.ts';
import { DiscoverResultSchema } from './schemas.ts';
import { ModernWire } from './wire.ts';

const METHOD = 'server/discover';

/**
 * Opens a connection with `server/discover`, which says what the server can do. If that fails, a child that
 * was started is ended first.
 * @param isStarted whether the route's transport has been started already
 */
export async function openModern(
  target: Target,
  route: Route,
  isStarted: boolean,
  options: ConnectOptions,
  timeoutMs: number,
): Promise<Wire> {
  const connection = new Connection(
    await channelTo(target, route, isStarted),
    identityOf(options),
    options.onError ?? (() => {}),
  );
  const close = async () => {
    await connection.close().catch(() => {});
    await route.gone();
  };
  try {
    await connection.open();
    const { signal } = options;
    const hasTasks = await discover(connection, { timeoutMs, signal });
    return new ModernWire(connection, options, hasTasks, route.gone);
  } catch (error) {
    await close();
    throw error;
  }
}

/** Whether the server has the extension; that it speaks the revision is sure then. */
async function discover(connection: Connection, limits: Limits): Promise<boolean> {
  const { supportedVersions, capabilities } = await connection
    .request(METHOD, {}, DiscoverResultSchema, limits)
    .catch((error: unknown) => {
      throw explain(error);
    });
  if (supportedVersions.includes(REVISION)) return capabilities.extensions?.[TASKS_EXTENSION] !== undefined;
  const message = `The server does not speak ${REVISION}, but ${supportedVersions.join(', ') || 'nothing'}`;
  throw new TaskError(UNSUPPORTED_VERSION, message, { data: { supported: supportedVersions } });
}

async function channelTo(target: Target, route: Route, isStarted: boolean): Promise<Channel> {
  if ('url' in target) {
    if (isStarted) await route.transport.close();
    return new HttpChannel(target);
  }
  if (route.carriesModern) return new Pipe(route.transport, isStarted);
  throw new TypeError(`${REVISION} over HTTP takes a target { url }, and not a transport of the SDK's`);
}

/** What the client can keep: what only a handler can is declared where there is one. */
function identityOf(options: ConnectOptions): Identity {
  const { name = 'mcp-taskpool', version = VERSION, onElicit, onSample } = options;
  const declared: ClientCapabilities = mergeCapabilities(
    answerCapabilities(options),
    options.capabilities ?? {},
  );
  const { elicitation, sampling, roots: _, tasks: __, extensions, ...others } = declared;
  return {
    clientInfo: { name, version },
    clientCapabilities: {
      ...others,
      ...(onElicit !== undefined && { elicitation }),
      ...(onSample !== undefined && { sampling }),
      extensions: { ...extensions, [TASKS_EXTENSION]: {} },
    },
  };
}

/** Why there is no connection, in our words. */
function explain(error: unknown): unknown {
  if (error instanceof ConnectionClosedError) {
    return new ConnectionClosedError(`The server closed the connection before it answered ${METHOD}`);
  }
  if (!(error instanceof TaskError)) return error;
  const message = `The server does not seem to speak ${REVISION}; its answer to ${METHOD}: ${error.message}`;
  return new TaskError(error.code, message, { data: error.data });
}
