import {
  CLIENT_CAPABILITIES_META_KEY,
  SUBSCRIPTION_ID_META_KEY,
  type ClientCapabilities,
  type JSONRPCNotification,
  type JSONRPCRequest,
  type RequestId,
} from '@modelcontextprotocol/server';

/*
 * The SDK serves `subscriptions/listen`: it checks the request, acknowledges it, keeps the stream alive and ends
 * it. It knows no tasks, so what it sends is added to: the acknowledgement gets the task ids, and the tasks'
 * notifications follow it.
 */

/** A request to hear of tasks. */
export interface TaskListen {
  readonly id: RequestId;
  readonly taskIds: readonly string[];
  readonly capabilities: ClientCapabilities | undefined;
  /** The same request, to hear of what the SDK knows. */
  readonly asOther: unknown;
}

/** Reads a message; undefined where it does not ask to hear of tasks, or not in a way that could be answered. */
export function taskListenOf(message: unknown): TaskListen | undefined {
  const { method, id, params } = (message ?? {}) as Partial<JSONRPCRequest>;
  if (method !== 'subscriptions/listen' || id === undefined) return undefined;
  const { notifications, _meta: meta } = (params ?? {}) as Record<
    string,
    Record<string, unknown> | undefined
  >;
  const taskIds = notifications?.['taskIds'];
  if (!Array.isArray(taskIds)) return undefined;
  return {
    id,
    taskIds: taskIds.filter((taskId) => typeof taskId === 'string'),
    capabilities: meta?.[CLIENT_CAPABILITIES_META_KEY] as ClientCapabilities | undefined,
    asOther: {
      ...(message as JSONRPCRequest),
      params: {
        ...params,
        notifications: { ...notifications, toolsListChanged: notifications?.['toolsListChanged'] || true },
      },
    },
  };
}

/** The id of the subscription that a message acknowledges; undefined where it is something else. */
export function acknowledges(message: unknown): RequestId | undefined {
  const { method, params } = message as Partial<JSONRPCNotification>;
  if (method !== 'notifications/subscriptions/acknowledged') return undefined;
  return params?._meta?.[SUBSCRIPTION_ID_META_KEY] as RequestId | undefined;
}

/** An acknowledgement that names tasks, which are all that there is to hear of. */
export function withTasks(
  acknowledgement: JSONRPCNotification,
  taskIds: readonly string[],
): JSONRPCNotification {
  return { ...acknowledgement, params: { ...acknowledgement.params, notifications: { taskIds } } };
}
