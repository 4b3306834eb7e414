import type { Served } from './served.ts';
import { StdioTransport } from './stdio-transport.ts';
import { toldToStop } from './stop.ts';

/**
 * Serves over standard input and output until the input ends or the process is told to stop
 * (SIGINT, SIGTERM), then drains and resolves. A second signal ends the process at once.
 */
export async function serveStdio(served: Pick<Served, 'serve' | 'close'>, drainMs: number): Promise<void> {
  const transport = new StdioTransport(process.stdin, process.stdout);
  const left = new Promise<void>((resolve) => {
    process.stdin.once('end', resolve).once('close', resolve);
    // The client has gone while we wrote.
    process.stdout.once('error', resolve);
  });
  const stopped = Promise.race([left, toldToStop()]);
  await served.serve(transport);
  await stopped;
  await served.close({ drainMs });
}
