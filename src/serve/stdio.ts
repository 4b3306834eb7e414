import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { StdioTransport } from './stdio-transport.ts';

/** What is served; the server behind it. */
interface Served {
  readonly ready: Promise<void>;
  serve(transport: Transport): Promise<void>;
  close(options: { drainMs: number }): Promise<void>;
}

/**
 * Serves over standard input and output until the input ends or the process is told to stop
 * (SIGINT, SIGTERM), then drains and resolves. A second signal ends the process at once.
 * @throws what keeps the server from getting ready
 */
export async function serveStdio(served: Served, drainMs: number): Promise<void> {
  const transport = new StdioTransport(process.stdin, process.stdout);
  const stopped = new Promise<void>((resolve) => {
    process.stdin.once('end', resolve).once('close', resolve);
    // The client has gone while we wrote.
    process.stdout.once('error', resolve);
    let signals = 0;
    const stop = () => (++signals > 1 ? process.exit(1) : resolve());
    process.on('SIGINT', stop).on('SIGTERM', stop);
  });
  try {
    await served.serve(transport);
    await served.ready;
    await stopped;
  } finally {
    await served.close({ drainMs });
  }
}
