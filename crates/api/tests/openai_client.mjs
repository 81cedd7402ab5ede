// OpenAI's own Node client, unchanged, against a gateway: prints as JSON what it was told.
import { createRequire } from "node:module";

const [base, key, scripted, root] = process.argv.slice(2);
const OpenAI = createRequire(`${root}/`)("openai");
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0 });
const found = {};

const ask = (text, more = {}) =>
  client.chat.completions.create({
    model: "ward-chat", messages: [{ role: "user", content: text }], max_tokens: 16, ...more,
  });

async function listen(stream) {
  let said = "", last;
  for await (const chunk of stream) {
    for (const choice of chunk.choices) said += choice.delta.content ?? "";
    last = chunk;
  }
  return { said, asepsis: last.asepsis };
}

async function failed(call) {
  try {
    await call();
  } catch (error) {
    return { kind: error.constructor.name, status: error.status, code: error.code, message: error.message };
  }
  return { kind: "none" };
}

found.models = (await client.models.list()).data.map((model) => model.id);
const answer = await ask("How is the patient?", { seed: 1 });
found.chat = { said: answer.choices[0].message.content, tokens: answer.usage.total_tokens, asepsis: answer.asepsis };
found.stream = await listen(await ask("How is the patient?", { seed: 1, stream: true }));
const response = await client.responses.create({ model: "ward-chat", input: "Hello", max_output_tokens: 8 });
found.response = { said: response.output_text, asepsis: response.asepsis };
let last;
for await (const event of await client.responses.create({ model: "ward-chat", input: "Hello", max_output_tokens: 8, stream: true })) last = event;
found.response_stream = { last: last.type, asepsis: last.response.asepsis };
const vectors = await client.embeddings.create({ model: "vectors", input: ["chest pain", "headache"] });
found.vectors = vectors.data.map((item) => item.embedding.length);
const tools = [{ type: "function", function: { name: "labs", parameters: { type: "object", properties: {} } } }];
const called = (await ask("call", { model: scripted, tools })).choices[0].message.tool_calls[0];
found.tools = { name: called.function.name, arguments: JSON.parse(called.function.arguments) };
found.dies = await failed(async () => listen(await ask("die", { model: scripted, stream: true })));
found.leaks = await failed(async () => listen(await ask("leak", { model: scripted, stream: true })));
found.leaks_whole = await failed(() => ask("leak", { model: scripted }));
found.no_key = await failed(() => new OpenAI({ baseURL: `${base}/v1`, apiKey: "wrong", maxRetries: 0 }).models.list());
found.no_model = await failed(() => ask("x", { model: "gpt-unknown" }));
console.log(JSON.stringify(found));
