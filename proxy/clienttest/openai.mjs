// Conversations with the official openai package.
import OpenAI from 'openai';
import { order, toolbox, failure, print } from './conversation.mjs';

const given = order();
const { ran, run } = toolbox(given);
const client = new OpenAI({
  apiKey: given.apiKey,
  baseURL: given.baseURL,
  maxRetries: given.maxRetries,
  defaultHeaders: given.headers,
});
const messages = [];
const turns = [];

const request = () => ({ model: 'gpt-any', messages, tools: given.tools.length ? given.tools : undefined, ...given.body });

// Members beside OpenAI's own, so that a test sees what a typed client still gets.
const extras = (o) => ({ conversation_id: o.conversation_id, trace_id: o.trace_id, gate: o.gate, status: o.status, pending_actions: o.pending_actions, intelligence: o.intelligence });

async function create() {
  const { data, response } = await client.chat.completions.create(request()).withResponse();
  const choice = data.choices[0];
  turns.push({
    content: choice.message.content, finish: choice.finish_reason, calls: choice.message.tool_calls ?? [],
    choices: data.choices.length, id: data.id, usage: data.usage ?? null, ...extras(data),
    gateHeader: response.headers.get('x-cadreen-gate'), traceHeader: response.headers.get('x-cadreen-trace-id'),
  });
  return choice.message;
}

// The raw loop, accumulating as the package's documentation shows.
async function stream() {
  const turn = { content: '', finish: null, calls: [], chunks: 0, ids: [], finishes: 0 };
  turns.push(turn);
  const ids = new Set();
  const answer = await client.chat.completions.create({ ...request(), stream: true });
  let withContent = 0;
  for await (const chunk of answer) {
    turn.chunks++;
    ids.add(chunk.id);
    turn.ids = [...ids];
    for (const [k, v] of Object.entries(extras(chunk))) if (v !== undefined) turn[k] = v;
    const choice = chunk.choices[0];
    if (!choice) continue;
    if (choice.finish_reason) { turn.finish = choice.finish_reason; turn.finishes++; }
    if (choice.delta?.content) {
      turn.content += choice.delta.content;
      if (++withContent === given.abortAfter) { answer.controller.abort(); turn.aborted = true; break; }
    }
    for (const part of choice.delta?.tool_calls ?? []) {
      const call = (turn.calls[part.index] ??= { id: '', type: part.type, function: { name: '', arguments: '' } });
      if (part.id) call.id += part.id;
      if (part.function?.name) call.function.name += part.function.name;
      if (part.function?.arguments) call.function.arguments += part.function.arguments;
    }
  }
  const message = { role: 'assistant', content: turn.content || null };
  if (turn.calls.length) message.tool_calls = turn.calls;
  return message;
}

async function helper() {
  const runner = client.chat.completions.stream(request());
  let content = 0;
  runner.on('content', () => content++);
  const data = await runner.finalChatCompletion();
  const choice = data.choices[0];
  turns.push({ content: choice.message.content, finish: choice.finish_reason, calls: choice.message.tool_calls ?? [], events: content, id: data.id, ...extras(data) });
  return choice.message;
}

// runTools runs whatever it is handed, so `ran` shows what escaped.
async function tools(streaming) {
  const runnable = given.tools.map((t) => ({
    type: 'function',
    function: { ...t.function, parse: (text) => text, function: (text) => run(t.function.name, text) },
  }));
  const runner = client.chat.completions.runTools({ ...request(), tools: runnable, stream: streaming || undefined }, { maxChatCompletions: given.steps });
  const content = await runner.finalContent();
  messages.splice(0, messages.length, ...runner.messages);
  turns.push({ content, completions: runner.allChatCompletions().length, finish: runner.allChatCompletions().at(-1)?.choices[0].finish_reason });
}

async function exchange() {
  if (given.mode === 'runTools') return tools(false);
  if (given.mode === 'runToolsStream') return tools(true);
  const ask = { create, stream, helper }[given.mode];
  for (let step = 0; step < given.steps; step++) {
    const message = await ask();
    messages.push(message);
    if (!message.tool_calls?.length || turns.at(-1).aborted) return;
    for (const call of message.tool_calls) {
      const body = call.function ?? call.custom;
      messages.push({ role: 'tool', tool_call_id: call.id, content: run(body.name, body.arguments ?? body.input) });
    }
  }
}

let error = null;
try {
  for (const text of given.user) {
    messages.push({ role: 'user', content: text });
    await exchange();
  }
} catch (e) {
  error = failure(e);
}
print({ turns, ran, error });
