import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { Served } from './served.ts';
import { StdioTransport } from './stdio-transport.ts';
import { toldToStop } from './stop.ts';

/** What is served; it may still be getting ready. */
interface Starting extends Pick<Served, 'close'> {
  readonly ready: Promise<void>;
  serve(transport: Transport): Promise<void>;
}

/**
 * Serves over standard input and output until the input ends or the process is told to stop
 * (SIGINT, SIGTERM), then drains and resolves. A second signal ends the process at once.
 * @throws what keeps the server from getting ready
 */
export async function serveStdio(served: Starting, drainMs: number): Promise<void> {
  const transport = new StdioTransport(process.stdin, process.stdout);
  const left = new Promise<void>((resolve) => {
    process.stdin.once('end', resolve).once('close', resolve);
    // The client has gone while we wrote. Each further write fails, too: standard output is never destroyed.
    process.stdout.on('error', resolve);
  });
  const stopped = Promise.race([left, toldToStop()]);
  try {
    await served.serve(transport);
    await served.ready;
    await stopped;
  } finally {
    await served.close({ drainMs });
  }
}
