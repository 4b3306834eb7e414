// A process of its own: takes up a task of which only the reference is left, and prints how it ended.
import { CLIENTS } from './all.ts';
import type { Generation, Place } from './client.ts';

export interface Resumption {
  readonly client: string;
  readonly generation: Generation;
  readonly place: Place;
  readonly reference: string;
}

const { client, generation, place, reference } = JSON.parse(process.argv[2]!) as Resumption;
const session = await CLIENTS.find(({ name }) => name === client)!.connect(generation, place, () => ({}));
console.log(JSON.stringify(await session.resume!(reference)));
await session.close();
