// The order that a Go test gives: which conversation to hold, and how.
//
//   node openai.mjs '{"mode":"stream","user":["Refund order 456 for $750","yes"],"tools":[…]}'
//
// CADREEN_URL and CADREEN_KEY say where. Every program prints one JSON object:
// what the client saw, turn by turn, and what its tools were run with.

export function order() {
  const given = JSON.parse(process.argv[2] ?? '{}');
  return {
    baseURL: need('CADREEN_URL'),
    apiKey: need('CADREEN_KEY'),
    mode: given.mode,
    provider: given.provider,
    user: given.user ?? [],
    tools: given.tools ?? [],
    results: given.results ?? {}, // by tool name: the text that running it gives
    body: given.body ?? {}, // further members of every request
    headers: given.headers ?? {},
    maxRetries: given.maxRetries ?? 0,
    abortAfter: given.abortAfter ?? 0, // leave the stream after so many chunks with content
    steps: given.steps ?? 5,
  };
}

function need(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

// Running a tool is remembered with the very text that the client handed over.
export function toolbox(given) {
  const ran = [];
  const run = (name, args) => {
    ran.push({ name, arguments: args });
    return given.results[name] ?? '{"ok":true}';
  };
  return { ran, run };
}

export function failure(e) {
  return {
    class: e?.constructor?.name ?? typeof e,
    message: String(e?.message ?? e),
    status: e?.status ?? e?.statusCode ?? null,
    code: e?.code ?? e?.data?.error?.code ?? null,
    type: e?.type ?? null,
    param: e?.param ?? null,
    requestID: e?.requestID ?? null,
    error: e?.error ?? e?.data?.error ?? null,
  };
}

export function print(seen) {
  process.stdout.write(JSON.stringify(seen) + '\n');
}
