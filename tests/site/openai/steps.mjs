// OpenAI's client for Node: `node steps.mjs STEP`, with BASE_URL and KEY; prints what it was given as JSON.
import OpenAI from "openai";

const client = new OpenAI({baseURL: process.env.BASE_URL, apiKey: process.env.KEY, maxRetries: 0});
const messages = [{role: "user", content: "Where is my parcel?"}];
const tools = [{type: "function", function: {name: "track", parameters: {type: "object", properties: {}}}}];
const schema = {type: "object", properties: {label: {type: "string"}}, required: ["label"], additionalProperties: false};

const asked = (more) => ({model: "fast", messages, structured_prompt: {id: "a"}, ...more});

async function deltas(more) {
  const found = [];
  for await (const chunk of await client.chat.completions.create(asked({stream: true, ...more}))) {
    found.push(chunk.choices[0].delta);
  }
  return found;
}

const steps = {
  models: async () => {
    const found = [];
    for await (const model of client.models.list()) found.push(model.id);
    return found;
  },
  model: async () => (await client.models.retrieve("simulated/small")).id,
  whole: async () => {
    const answer = await client.chat.completions.create(asked({temperature: 0}));
    return [answer.id, answer.object, answer.choices[0].finish_reason, answer.choices[0].message.content];
  },
  parsed: async () => {
    const response_format = {type: "json_schema", json_schema: {name: "label", strict: true, schema}};
    const answer = await client.chat.completions.parse(asked({response_format}));
    return answer.choices[0].message.parsed;
  },
  text: async () => (await deltas({})).map((delta) => delta.content).filter(Boolean),
  tools: async () => (await deltas({tools})).flatMap((delta) => delta.tool_calls ?? []),
  error: async () => {
    try {
      return await client.chat.completions.create(asked({}));
    } catch (error) {
      return [error.constructor.name, error.status, error.code];
    }
  },
};

console.log(JSON.stringify(await steps[process.argv[2]]()));
