import { SqliteStore } from 'mcp-taskpool';
import { storeConformance } from './conformance.ts';
import { pathOfStore } from './folder.ts';
import { sharedStoreConformance } from './shared-conformance.ts';

storeConformance('SqliteStore', async () => SqliteStore.open({ path: await pathOfStore() }));

sharedStoreConformance('SqliteStore', async () => {
  const path = await pathOfStore();
  return { open: () => SqliteStore.open({ path }) };
});
