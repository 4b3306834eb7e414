import type { ChildProcess } from 'node:child_process';
import type { StdioServerParameters } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';

/** A server that is started as a child process and spoken to over its standard input and output. */
export interface StdioTarget {
  /** The program. */
  command: string;
  args?: readonly string[];
  /** Added to what a child gets from the SDK: HOME, LOGNAME, PATH, SHELL, TERM and USER. */
  env?: Readonly<Record<string, string>>;
  /** Default: this process's working directory. */
  cwd?: string;
  /** Where the child's stderr goes. Default `inherit`: to this process's. */
  stderr?: StdioServerParameters['stderr'];
}

/** A server on Streamable HTTP. */
export interface HttpTarget {
  url: string | URL;
  /** Sent with every request, such as an Authorization. */
  headers?: Readonly<Record<string, string>>;
}

/**
 * Where the server is; any SDK transport that is not started will do. (For 2026-07-28 over HTTP give the
 * `url`: the transport of the SDK of 2025-11-25 does not send the headers that it takes.)
 */
export type Target = StdioTarget | HttpTarget | Transport;

/** A transport to the target, and what its end takes. */
export interface Route {
  readonly transport: Transport;
  /** Whether a response may get lost without a word: a stream that is cut ends no request. */
  readonly lossy: boolean;
  /** Whether it will do for 2026-07-28, too. */
  readonly carriesModern: boolean;
  /** Tells the server that the session is over. */
  readonly leave: () => Promise<void>;
  /** Resolves when a child that was started is gone. */
  readonly gone: () => Promise<void>;
}

/** The SDK ends a child's input, waits 2 s, sends SIGTERM, waits 2 s, sends SIGKILL. */
const CHILD_END_MS = 5000;
/** How long a server may take to answer the end of its session. */
const LEAVE_MS = 2000;

export function routeTo(target: Target): Route {
  if ('start' in target) return routeOver(target, false);
  if ('command' in target) return routeToChild(target);
  const { url, headers } = target;
  const transport = new StreamableHTTPClientTransport(
    new URL(url),
    headers && { requestInit: { headers: { ...headers } } },
  );
  return routeOver(transport, true);
}

function routeOver(transport: Transport, own: boolean): Route {
  const http = transport instanceof StreamableHTTPClientTransport ? transport : undefined;
  return {
    transport,
    lossy: http !== undefined,
    carriesModern: http === undefined || own,
    // "Session Management" 5 (2025-11-25, transports): DELETE when the session is no longer needed.
    leave: async () => {
      if (own && http?.sessionId !== undefined)
        await within(
          LEAVE_MS,
          http.terminateSession().catch(() => {}),
        );
    },
    gone: async () => {},
  };
}

function routeToChild({ command, args = [], env, cwd, stderr = 'inherit' }: StdioTarget): Route {
  const transport = new StdioClientTransport({
    command,
    args: [...args],
    ...(env !== undefined && { env: { ...env } }),
    ...(cwd !== undefined && { cwd }),
    stderr,
  });
  // The SDK keeps a handler that is there when it connects, and calls it first.
  const closed = new Promise<void>((resolve) => (transport.onclose = resolve));
  let started = false;
  const start = transport.start.bind(transport);
  transport.start = async () => {
    await start();
    started = true;
    // While the server does not read, each message waits for the drain by a listener of its own, and Node
    // would warn of eleven. The field is private: should it go away, the warning comes back and nothing else.
    (transport as unknown as { _process?: ChildProcess })._process?.stdin?.setMaxListeners(0);
  };
  return {
    transport,
    lossy: false,
    carriesModern: true,
    leave: async () => {},
    gone: () => (started ? within(CHILD_END_MS, closed) : Promise.resolve()),
  };
}

async function within(ms: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
