import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import type { FromExecutor, ToExecutor } from './executor-messages.ts';
import type { HostOptions, Link } from './host.ts';
import { PiscinaHost } from './piscina-host.ts';

/*
 * The executor's process: hosts the threads, and passes messages on between them and the server. Whatever
 * a tool does to its process, it does to this one.
 */

// Its own streams are never opened: Node would make their descriptors such that a tool which writes to them
// itself is told to try again. Threads print past these.
for (const name of ['stdout', 'stderr']) {
  const write = (chunk: Buffer, _: unknown, done: () => void) => {
    writeSync(2, chunk);
    done();
  };
  Object.defineProperty(process, name, { value: new Writable({ write }) });
}

const host = new PiscinaHost(JSON.parse(process.argv[2]!) as HostOptions);
const links = new Map<number, Link>();

const send = (message: FromExecutor) => {
  // The server has gone where it cannot be sent; that is heard of below.
  if (process.connected) process.send!(message, undefined, undefined, () => {});
};

process.on('message', (message: ToExecutor) => {
  const { link: id } = message;
  switch (message.type) {
    case 'open': {
      const link = host.open(message.spec, {
        message: (from) => send({ type: 'message', link: id, message: from }),
        // Only another process can be lost.
        lost: () => {},
        ended: (reason, kind) => {
          links.delete(id);
          send({ type: 'ended', link: id, reason, kind });
        },
      });
      links.set(id, link);
      return;
    }
    case 'post':
      links.get(id)?.post(message.message);
      return;
    case 'end':
      links.get(id)?.end();
  }
});

// No tool outlives the server. Not by exit(), which waits for threads that are blocked in native code.
const end = () => process.kill(process.pid, 'SIGKILL');
process.on('disconnect', end);
// It may have gone while this was loading.
if (!process.connected) end();

// A terminal sends these to the whole group; the server decides when its tasks end.
process.on('SIGINT', () => {}).on('SIGTERM', () => {});
