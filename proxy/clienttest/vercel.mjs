// Conversations with the Vercel AI SDK, over either of its two providers.
import { generateText, streamText, tool, jsonSchema, isStepCount } from 'ai';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { order, toolbox, failure, print } from './conversation.mjs';

const given = order();
const { ran, run } = toolbox(given);
const setup = { baseURL: given.baseURL, apiKey: given.apiKey, headers: given.headers };
const model = given.provider === 'compatible'
  ? createOpenAICompatible({ ...setup, name: 'cadreen', includeUsage: true }).chatModel('gpt-any')
  : createOpenAI(setup).chat('gpt-any');

const tools = Object.fromEntries(given.tools.map(({ function: f }) => [f.name, tool({
  description: f.description,
  inputSchema: jsonSchema(f.parameters),
  execute: async (input) => run(f.name, JSON.stringify(input)),
})]));

const messages = [];
const turns = [];

const call = () => ({ model, messages, tools, stopWhen: isStepCount(given.steps), maxRetries: given.maxRetries });

const shown = (result, steps, text, finish) => ({
  content: text, finish,
  steps: steps.map((s) => ({ finish: s.finishReason, text: s.text, calls: s.toolCalls.map((c) => ({ id: c.toolCallId, name: c.toolName, input: c.input })) })),
});

async function generate() {
  const result = await generateText(call());
  turns.push(shown(result, result.steps, result.text, result.finishReason));
  messages.push(...result.response.messages);
}

async function stream() {
  let failed = null;
  const result = streamText({ ...call(), onError: ({ error }) => { failed = error; } });
  const parts = [];
  for await (const part of result.fullStream ?? result.stream) {
    if (parts.at(-1) !== part.type) parts.push(part.type);
    if (part.type === 'error') failed = part.error;
  }
  if (failed) throw failed;
  turns.push({ ...shown(result, await result.steps, await result.text, await result.finishReason), parts });
  messages.push(...(await result.response).messages);
}

let error = null;
try {
  for (const text of given.user) {
    messages.push({ role: 'user', content: text });
    await { generate, stream }[given.mode]();
  }
} catch (e) {
  error = failure(e);
}
print({ turns, ran, error });
