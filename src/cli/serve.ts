import { Command, Option } from 'commander';
import { OptionError } from '../errors.ts';
import type { HttpOptions } from '../serve/http-options.ts';
import type { TaskServer } from '../server.ts';
import { addHttpOptions, httpOptionsOf, inFlags, type HttpFlags } from './http-options.ts';
import { lazyLog } from './log.ts';
import { addStoreOptions, storeOpener, type StoreFlags } from './open-store.ts';
import { count, gather, seconds } from './values.ts';

interface Options extends HttpFlags, StoreFlags {
  tools: string;
  threads?: number;
  isolation: 'process' | 'thread';
  maxMemoryMb?: number;
  env: string[];
  lockdown?: boolean;
  allowRead: string[];
  lenient?: boolean;
  taskTools?: boolean;
  grace?: number;
  drain: number;
  logLevel: 'info' | 'warn' | 'error' | 'silent';
}

/** Bytes of the log. */
const MOST_UNREAD = 2 ** 20;

/** `mcp-taskpool serve`: a tools folder over stdio, or HTTP. */
export function serveCommand(): Command {
  const command = new Command('serve')
    .description('Serve a tools folder over stdio, or HTTP')
    .option('--tools <dir>', 'the folder of tool modules', 'tools')
    .option(
      '--threads <n>',
      "threads for CPU-bound tools (default: the machine's available parallelism)",
      count,
    )
    .addOption(
      new Option(
        '--isolation <mode>',
        "where tools run: in threads of a child process, or of the server's own",
      )
        .choices(['process', 'thread'])
        .default('process'),
    )
    .option(
      '--max-memory-mb <n>',
      "what the tools' process may hold (default: 1536, or half of the machine's memory where that is less)",
      count,
    )
    .option('--env <name>', 'a variable of the environment that tools see; may be repeated', gather, [])
    .option(
      '--lockdown',
      "runs tools under Node's permission model: they read the tools folder and their packages only",
    )
    .option('--allow-read <path>', 'what else they may read under --lockdown; may be repeated', gather, [])
    .option('--lenient', 'leave out tool modules that do not load, with a warning, instead of not starting')
    .option(
      '--task-tools',
      'add start_task, check_task, cancel_task and list_tasks, for clients that know no tasks',
    )
    .option(
      '--grace <ms>',
      'how long a cancelled task may take to stop before its thread is ended (default: 250)',
      count,
    )
    .option('--drain <s>', 'how long running tasks may take when the server stops', seconds, 10)
    .addOption(
      new Option('--log-level <level>', 'what is logged on stderr: info has the life of every task')
        .choices(['info', 'warn', 'error', 'silent'])
        .default('warn'),
    );
  return addHttpOptions(addStoreOptions(command)).action(serve);
}

async function serve(options: Options): Promise<void> {
  const { tools, threads, isolation, maxMemoryMb, env, lenient, grace, drain, logLevel } = options;
  if (options.allowRead.length > 0 && !options.lockdown)
    throw new OptionError('--allow-read: needs --lockdown');
  const http = httpOptionsOf(options);
  const log = lazyLog(logLevel, logLine);
  const store = storeOpener(options, tools, log);
  // Loaded here, so that a wrong option is answered at once.
  const { startServer } = await import('../server.ts');
  // Nobody reads it any more.
  process.stderr.on('error', () => {});
  const server = startServer({
    tools,
    log,
    isolation,
    env,
    ...(options.lockdown && { lockdown: { read: options.allowRead } }),
    ...(threads !== undefined && { threads }),
    ...(maxMemoryMb !== undefined && { maxMemoryMb }),
    ...(lenient !== undefined && { lenient }),
    ...(options.taskTools && { taskTools: true }),
    ...(grace !== undefined && { graceMs: grace }),
    ...(store !== undefined && { store }),
  });
  const drainMs = drain * 1000;
  if (http !== undefined) return overHttp(server, { ...http, log }, drainMs);
  const { serveStdio } = await import('../serve/stdio.ts');
  await serveStdio(server, drainMs);
}

/** Serves until told to stop, then drains. */
async function overHttp(server: TaskServer, options: HttpOptions, drainMs: number): Promise<void> {
  const [{ serveHttp }, { toldToStop }] = await Promise.all([
    import('../serve/http.ts'),
    import('../serve/stop.ts'),
  ]);
  const stopped = toldToStop();
  try {
    await server.ready;
    const http = await serveHttp(server, options);
    console.error(http.url);
    await stopped;
    await http.close({ drainMs });
  } catch (error) {
    await server.close({ drainMs: 0 });
    throw inFlags(error);
  }
}

/** A client that does not read standard error must not stop the server: what it does not take is dropped. */
function logLine(line: string): void {
  if (process.stderr.writableLength < MOST_UNREAD) process.stderr.write(line);
}
