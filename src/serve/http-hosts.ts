import { isIP, isIPv4 } from 'node:net';

/** `name`, `name:port` or `[address]:port`. */
const HOST = /^(?:\[([\da-f:.]+)\]|([^\s:/@?#\\[\]]+))(?::\d+)?$/i;

/** Whether only this machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  return host.toLowerCase() === 'localhost' || host === '::1' || (host.startsWith('127.') && isIPv4(host));
}

/** Whether it stands for every address of the machine. */
export function isWildcard(host: string): boolean {
  return host === '' || host === '0.0.0.0' || host === '::';
}

export interface Names {
  /** What is listened on. */
  readonly host: string;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly publicUrl: URL | undefined;
}

/**
 * Which Host and Origin headers are allowed: a page of another site that has its name resolved to this machine
 * sends its own (2025-11-25, transports, "Security Warning"; DNS rebinding).
 */
export class AllowedNames {
  readonly #host: string;
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;

  constructor({ host, allowedHosts, allowedOrigins, publicUrl }: Names) {
    this.#host = host.toLowerCase();
    this.#hosts = new Set([...allowedHosts, ...(publicUrl === undefined ? [] : [publicUrl.host])]);
    this.#origins = new Set([...allowedOrigins, ...(publicUrl === undefined ? [] : [publicUrl.origin])]);
  }

  allowsHost(header: string | undefined): boolean {
    if (header === undefined) return false;
    const host = header.toLowerCase();
    const match = HOST.exec(host);
    if (match === null) return false;
    const name = (match[1] ?? match[2])!;
    if (this.#hosts.has(host) || this.#hosts.has(match[1] === undefined ? name : `[${name}]`)) return true;
    if (isLoopback(this.#host)) return isLoopback(name);
    // An address is no name that could be resolved to another.
    return name === this.#host || (isWildcard(this.#host) && (isIP(name) !== 0 || name === 'localhost'));
  }

  allowsOrigin(header: string): boolean {
    if (this.#origins.has(header)) return true;
    if (!isLoopback(this.#host)) return false;
    const match = /^https?:\/\/(.+)$/i.exec(header);
    const host = match === null ? null : HOST.exec(match[1]!);
    return host !== null && isLoopback((host[1] ?? host[2])!);
  }
}
