"""The MCP server: the tools, the agent and its cases for other people's agents (extra ``mcp``)."""
