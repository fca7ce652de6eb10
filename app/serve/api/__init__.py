"""The interface of OpenAI's video clients, and what stands behind its routes."""
