/** The revision of the protocol. */
export const REVISION = '2026-07-28';

/** The extension that tasks are, in the capabilities of both sides (ext-tasks, "Extension Identifier"). */
export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

/** The keys of `_meta` that every request has (basic, "Per-request protocol fields"). */
export const META = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
} as const;

/** The key of `_meta` that ties a notification to its subscription (subscriptions). */
export const SUBSCRIPTION_META = 'io.modelcontextprotocol/subscriptionId';

/** Error codes of this revision (basic, "Error Codes"). */
export const HEADER_MISMATCH = -32020;
export const UNSUPPORTED_VERSION = -32022;
