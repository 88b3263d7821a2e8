package fault

// Absence is a part of the contract that this version does not have. Its
// addresses answer one code, so that a client learns the truth in the documented
// form.
type Absence struct {
	// Name of the part.
	Name string
	// Code that its addresses answer.
	Code string
	// Routes are "METHOD /path" below a base address, path parameters in braces.
	Routes []string
}

// Absences are the parts that this version does not have.
func Absences() []Absence {
	return []Absence{
		{"Memory", ServiceUnavailable, []string{
			"POST /memory", "GET /memory/search", "GET /memory/types", "GET /memory/profile/{user_id}", "GET /memory/{id}", "DELETE /memory/{id}"}},
		{"Connections", ProviderUnavailable, []string{
			"GET /connections", "POST /connections", "GET /connections/catalog", "POST /connections/install", "DELETE /connections/{id}"}},
		{"Tools from OpenAPI documents", OpenAPIUnavailable, []string{"POST /connections/openapi"}},
		{"Tools from MCP servers, and the MCP gateway", MCPUnavailable, []string{"POST /connections/mcp", "GET /mcp/sse", "POST /mcp/message"}},
		{"Capabilities and server-side tools", CapabilitiesUnavailable, []string{"GET /capabilities", "GET /tools"}},
		{"Executions on the server", NotFound, []string{"GET /executions/{id}", "GET /executions/{id}/stream", "POST /executions/{id}/confirm"}},
		{"Promoting traces to memory, procedures or tools", IntelligenceUnavailable, []string{"POST /intelligence/{id}/promote"}},
		{"Credentials", CredentialsUnavailable, []string{"GET /credentials", "POST /credentials", "DELETE /credentials/{id}"}},
		{"Webhooks", WebhookUnavailable, []string{"GET /webhooks", "POST /webhooks", "DELETE /webhooks/{id}"}},
		{"Learning", LearningUnavailable, []string{"GET /learning/patterns", "GET /learning/episodes", "GET /learning/suggestions"}},
		{"Healing", DiagnosisUnavailable, []string{"POST /healing/diagnose", "GET /healing/precedents", "GET /healing/stats"}},
	}
}
