"""OpenAI's own Python client, unchanged, against a gateway: prints as JSON what it was told."""
import json
import sys

import openai

base, key, scripted = sys.argv[1:4]
client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0, timeout=30)
found = {"version": openai.__version__}


def ask(text, **more):
    return client.chat.completions.create(
        model=more.pop("model", "ward-chat"), messages=[{"role": "user", "content": text}], max_tokens=16, **more
    )


def failed(call):
    try:
        call()
    except openai.APIStatusError as error:
        return {"kind": type(error).__name__, "status": error.status_code, "code": error.code, "message": str(error)}
    except openai.APIError as error:
        return {"kind": type(error).__name__, "code": error.code, "message": error.message}
    return {"kind": "none"}


def listen(stream):
    said, last = "", None
    for chunk in stream:
        for choice in chunk.choices:
            said += choice.delta.content or ""
        last = chunk
    return {"said": said, "asepsis": (last.model_extra or {}).get("asepsis")}


found["models"] = [model.id for model in client.models.list()]
found["model"] = client.models.retrieve("ward-chat").id

# A real server behind the gateway.
answer = ask("How is the patient?", seed=1)
found["chat"] = {
    "said": answer.choices[0].message.content,
    "finish": answer.choices[0].finish_reason,
    "tokens": answer.usage.total_tokens,
    "asepsis": answer.model_extra["asepsis"],
}
found["stream"] = listen(ask("How is the patient?", seed=1, stream=True))
raw = client.chat.completions.with_raw_response.create(
    model="ward-chat", messages=[{"role": "user", "content": "Hello"}], max_tokens=2
)
found["headers"] = {name: raw.headers.get(name) for name in ("asepsis-receipt", "asepsis-advice")}
response = client.responses.create(model="ward-chat", input="Hello", max_output_tokens=8)
found["response"] = {"said": response.output_text, "asepsis": response.model_extra["asepsis"]}
events = [event for event in client.responses.create(model="ward-chat", input="Hello", max_output_tokens=8, stream=True)]
found["response_stream"] = {
    "said": "".join(e.delta for e in events if e.type == "response.output_text.delta"),
    "last": events[-1].type,
    "asepsis": events[-1].response.model_extra["asepsis"],
}
vectors = client.embeddings.create(model="vectors", input=["chest pain", "headache"])
found["vectors"] = [len(item.embedding) for item in vectors.data]

# A server that says what a test wants.
tools = [{"type": "function", "function": {"name": "labs", "description": "Reads laboratory values.",
                                           "parameters": {"type": "object", "properties": {"name": {"type": "string"}}}}}]
called = ask("call", model=scripted, tools=tools).choices[0].message.tool_calls[0]
found["tools"] = {"name": called.function.name, "arguments": json.loads(called.function.arguments)}
arguments = ""
for chunk in ask("call", model=scripted, tools=tools, stream=True):
    for choice in chunk.choices:
        for call in choice.delta.tool_calls or []:
            arguments += call.function.arguments or ""
found["tools_stream"] = json.loads(arguments)
found["dies"] = failed(lambda: listen(ask("die", model=scripted, stream=True)))
found["leaks"] = failed(lambda: listen(ask("leak", model=scripted, stream=True)))
found["leaks_whole"] = failed(lambda: ask("leak", model=scripted))

# Refusals become the exceptions that programs already catch.
found["no_key"] = failed(lambda: openai.OpenAI(base_url=f"{base}/v1", api_key="wrong", max_retries=0).models.list())
found["no_model"] = failed(lambda: ask("x", model="gpt-unknown"))
picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]
found["picture"] = failed(lambda: client.chat.completions.create(model="ward-chat", messages=picture))
azure = openai.AzureOpenAI(azure_endpoint=base, api_key=key, api_version="2024-10-21", max_retries=0)
found["azure"] = azure.chat.completions.create(
    model="ward-chat", messages=[{"role": "user", "content": "Hello"}], max_tokens=4
).choices[0].finish_reason
print(json.dumps(found))
