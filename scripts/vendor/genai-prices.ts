export * from "@pydantic/genai-prices";
