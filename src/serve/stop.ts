/**
 * Resolves when the process is told to stop (SIGINT, SIGTERM). A second signal ends the process at once: who
 * waits is about to drain.
 */
export function toldToStop(): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    const stop = () => (++signals > 1 ? process.exit(1) : resolve());
    process.on('SIGINT', stop).on('SIGTERM', stop);
  });
}
