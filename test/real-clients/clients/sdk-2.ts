import { Client, ProtocolError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import {
  completed,
  fieldsOf,
  type Answer,
  type Generation,
  type Place,
  type RealClient,
  type Session,
} from './client.ts';

export const CLIENT_INFO = { name: 'real-client', version: '1' };
export const CAPABILITIES = { elicitation: { form: {} } };

/** The client of the SDK of 2026-07-28. It knows no tasks: those are in ext-tasks, which builds on it. */
export const sdk2: RealClient = {
  name: '@modelcontextprotocol/client 2.4',
  means: { '2025-11-25': ['call', 'callFollowed'], '2026-07-28': ['call', 'callFollowed'] },
  async connect(generation, place, answer): Promise<Session> {
    const { client } = await connectSdk2(generation, place, answer);
    return {
      async call(tool, args) {
        try {
          return completed(await client.callTool({ name: tool, arguments: args }));
        } catch (error) {
          if (error instanceof ProtocolError) return { status: 'failed', message: error.message };
          throw error;
        }
      },
      async callFollowed(tool, args) {
        const progress: number[] = [];
        const onprogress = (report: { progress: number }) => void progress.push(report.progress);
        const result = await client.callTool({ name: tool, arguments: args }, { onprogress });
        return { outcome: completed(result), progress };
      },
      close: () => client.close(),
    };
  },
};

type ClientTransport = StdioClientTransport | StreamableHTTPClientTransport;

export async function connectSdk2(
  generation: Generation,
  place: Place,
  answer: Answer,
): Promise<{ client: Client; transport: ClientTransport }> {
  const client = new Client(CLIENT_INFO, {
    capabilities: CAPABILITIES,
    versionNegotiation: { mode: generation === '2025-11-25' ? 'legacy' : { pin: generation } },
  });
  client.setRequestHandler('elicitation/create', ({ params }) => ({
    action: 'accept',
    content: answer(fieldsOf(params)),
  }));
  const transport =
    place.transport === 'stdio'
      ? new StdioClientTransport({ command: place.command, args: [...place.args] })
      : new StreamableHTTPClientTransport(new URL(place.url), {
          requestInit: { headers: place.authorization ? { authorization: place.authorization } : {} },
        });
  await client.connect(transport);
  return { client, transport };
}
