import { MemoryStore } from 'mcp-taskpool';
import { storeConformance } from './conformance.ts';

storeConformance('MemoryStore', async () => new MemoryStore());
