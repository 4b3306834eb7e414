import type { EndKind, ThreadSpec } from './host.ts';
import type { FromThread, ToThread } from './messages.ts';

/** Both sides of the process boundary: the messages of many threads, each with the number of its link. */

export type ToExecutor =
  | { readonly type: 'open'; readonly link: number; readonly spec: ThreadSpec }
  | { readonly type: 'post'; readonly link: number; readonly message: ToThread }
  | { readonly type: 'end'; readonly link: number };

export type FromExecutor =
  | { readonly type: 'message'; readonly link: number; readonly message: FromThread }
  | { readonly type: 'ended'; readonly link: number; readonly reason: string; readonly kind: EndKind };
