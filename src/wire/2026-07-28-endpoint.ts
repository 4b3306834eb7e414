import { Requests } from './2026-07-28.ts';
import { ChannelEndpoint, type Channel } from './2026-07-28-channel.ts';
import { HttpEndpoint, type HttpRequestOptions } from './2026-07-28-http.ts';
import type { Service } from './service.ts';

/** All that a server has to do with 2026-07-28. Loaded, with the SDK for it, by the first request that is of it. */
export class Endpoint {
  readonly #service: Service;
  readonly #requests: Requests;
  #http: HttpEndpoint | undefined;
  readonly #channels = new Set<ChannelEndpoint>();

  constructor(service: Service) {
    this.#service = service;
    this.#requests = new Requests(service);
  }

  fetch(request: Request, options: HttpRequestOptions): Promise<Response> {
    this.#http ??= new HttpEndpoint(this.#service, this.#requests);
    return this.#http.fetch(request, options);
  }

  /** Answers what is received on a channel that stays. */
  open(channel: Channel): ChannelEndpoint {
    const closed = () => this.#channels.delete(endpoint);
    const endpoint = new ChannelEndpoint(this.#service, this.#requests, channel, closed);
    this.#channels.add(endpoint);
    return endpoint;
  }

  async close(): Promise<void> {
    await Promise.all([this.#http?.close(), ...[...this.#channels].map((channel) => channel.close())]);
  }
}
