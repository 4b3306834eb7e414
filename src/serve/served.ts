import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';

/** What is served; the server behind every transport. */
export interface Served {
  /** Speaks a revision that has sessions, 2025-11-25 and before, on a transport. */
  connect(transport: Transport, options?: ConnectOptions): Promise<unknown>;
  /** Answers one request of revision 2026-07-28 or later. */
  modern(request: Request, options: ModernOptions): Promise<Response>;
  /** Refuses new work, lets what runs finish, then closes what is connected. */
  close(options: { drainMs: number }): Promise<void>;
}

export interface ConnectOptions {
  /**
   * Whether the client may list its tasks: not where it is known by its session only (2025-11-25, tasks, "Task
   * Isolation and Access Control"). Default true.
   */
  listTasks?: boolean;
}

export interface ModernOptions {
  /** What the access token of the request says; none where there is no authentication. */
  authInfo?: AuthInfo | undefined;
  /** The request's body, where it has been read. */
  parsedBody?: unknown;
}
