import { MemoryStore } from '../../src/stores/memory.ts';
import { storeConformance } from './conformance.ts';

storeConformance('MemoryStore', async () => new MemoryStore());
