import type { Log } from '../tasks/log.ts';

const LEVELS = ['info', 'warn', 'error', 'silent'] as const;
type Level = (typeof LEVELS)[number];

/** A pino logger that is loaded when there is something to log: a server has its first answer to give before. */
export function lazyLog(least: Level, write: (line: string) => void): Log {
  let loading: Promise<Log> | undefined;
  let log: Log | undefined;
  const at = (level: 'info' | 'warn' | 'error'): Log['info'] => {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return () => {};
    return (fields, message) => {
      if (log !== undefined) return log[level](fields, message);
      loading ??= import('pino').then(({ pino }) => (log = pino({ level: least }, { write })));
      void loading.then((log) => log[level](fields, message));
    };
  };
  return { info: at('info'), warn: at('warn'), error: at('error') };
}
