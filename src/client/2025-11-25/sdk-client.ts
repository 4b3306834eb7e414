import { Client } from '@modelcontextprotocol/sdk/client/index.js';

/**
 * The SDK's client, which would close the transport at once when `initialize` fails. This one leaves that to
 * us, until it is {@link settled}: the server may speak another revision, over the same transport.
 */
export class SdkClient extends Client {
  #isSettled = false;

  /** From now on, to close it closes it. */
  settled(): void {
    this.#isSettled = true;
  }

  override async close(): Promise<void> {
    if (this.#isSettled) await super.close();
  }
}
