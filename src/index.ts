export type { ServerOptions } from './options.ts';
export { createServer, type TaskServer } from './server.ts';
export { serveHttp, type HttpServer } from './serve/http.ts';
export type { HttpAuth, HttpLimits, HttpOptions, JwtOptions, VerifyToken } from './serve/http-options.ts';
export type { ConnectOptions, ModernOptions, Served } from './serve/served.ts';
export {
  CatalogError,
  ErrorCode,
  InvalidCursorError,
  KeyReusedError,
  KeyTakenError,
  OptionError,
  ProtocolError,
  RefusedError,
  StoreError,
  StoreUnavailableError,
  TaskEndedError,
  UnknownTaskError,
} from './errors.ts';
export { MemoryStore } from './stores/memory.ts';
export { SqliteStore, type SqliteStoreOptions } from './stores/sqlite.ts';
export type { Log } from './tasks/log.ts';
export { SteadyClock, type Clock } from './tasks/clock.ts';
export type {
  Letter,
  Page,
  Purged,
  ReceivedLetter,
  SharedEvents,
  SharedStore,
  TaskStore,
} from './tasks/store.ts';
export type { Asked, Call, Lane, Outcome, Retry, Task, TaskState } from './tasks/task.ts';
export { IDEMPOTENCY_META, TASK_META, type TaskMeta } from './wire/meta.ts';
export type { Caller } from './wire/owner.ts';
