import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../dist/test/fixtures/store-actor.js', import.meta.url));

/** Another server's store in a process of its own, which ends with the test. See the fixture for what it can do. */
export async function startActor(path: string, leaseMs = 30_000) {
  const child = spawn(process.execPath, [SCRIPT, path, String(leaseMs)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const events = new EventEmitter();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line) as { event?: string };
    events.emit(said.event ?? 'answer', said);
  });
  const act = async (name: string, ...args: unknown[]): Promise<unknown> => {
    const answered = once(events, 'answer', { signal: gone.signal });
    child.stdin.write(`${JSON.stringify([name, ...args])}\n`);
    const [{ value, error }] = (await answered) as [{ value?: unknown; error?: string }];
    if (error !== undefined) throw new Error(error);
    return value;
  };
  const gone = new AbortController();
  void ended.then(() => gone.abort(new Error('the actor has ended')));
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  onTestFinished(kill);
  await act('open');
  return {
    act,
    kill,
    /** Resolves at its next event of this name. */
    told: (event: string) => once(events, event, { signal: gone.signal }),
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
  };
}
