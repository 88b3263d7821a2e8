package fault

// The code of every fault in the catalogue. Codes are stable: clients branch on them.
const (
	InvalidRequest = "invalid_request"
	NotFound       = "not_found"
	RateLimit      = "rate_limit"
	InternalError  = "internal_error"

	Unauthorized   = "unauthorized"
	Forbidden      = "forbidden"
	TenantRequired = "tenant_required"

	ServiceUnavailable = "service_unavailable"

	StoreUnavailable = "store_unavailable"

	BlockedByPolicy             = "blocked_by_policy"
	ConditionalApprovalRequired = "conditional_approval_required"
	GovernanceUnavailable       = "governance_unavailable"

	EscalationMissingDecision = "escalation_missing_decision"
	EscalationNotFound        = "escalation_not_found"
	EscalationsUnavailable    = "escalations_unavailable"
	EscalationResolveFailed   = "escalation_resolve_failed"
	EscalationListFailed      = "escalation_list_failed"

	PolicyMissingName      = "policy_missing_name"
	PolicyNotFound         = "policy_not_found"
	PolicyQueryFailed      = "policy_query_failed"
	PolicyCreationFailed   = "policy_creation_failed"
	PolicyConfirmFailed    = "policy_confirm_failed"
	PolicyEvaluationFailed = "policy_evaluation_failed"

	MissingFields = "missing_fields"

	InvalidMemoryType    = "invalid_memory_type"
	InvalidMemoryID      = "invalid_memory_id"
	MemoryQueryRequired  = "memory_query_required"
	MemoryNotFound       = "memory_not_found"
	MemoryCreationFailed = "memory_creation_failed"
	MemorySearchFailed   = "memory_search_failed"

	ConnectionForbidden        = "connection_forbidden"
	ConnectionNotFound         = "connection_not_found"
	ConnectionUnregisterFailed = "connection_unregister_failed"
	InstallFailed              = "install_failed"
	ProviderUnavailable        = "provider_unavailable"
	MissingCapability          = "missing_capability"
	DegradedCapability         = "degraded_capability"
	CapabilitiesUnavailable    = "capabilities_unavailable"

	OpenAPIInvalidURL       = "openapi_invalid_url"
	OpenAPIFetchFailed      = "openapi_fetch_failed"
	OpenAPIReadFailed       = "openapi_read_failed"
	OpenAPIInvalidSpec      = "openapi_invalid_spec"
	OpenAPIGenerationFailed = "openapi_generation_failed"
	OpenAPIUnavailable      = "openapi_unavailable"

	MCPRegistrationFailed = "mcp_registration_failed"
	MCPUnavailable        = "mcp_unavailable"

	CredentialNotFound       = "credential_not_found"
	CredentialCreationFailed = "credential_creation_failed"
	CredentialDeleteFailed   = "credential_delete_failed"
	CredentialListFailed     = "credential_list_failed"
	CredentialsUnavailable   = "credentials_unavailable"

	WebhookNotFound       = "webhook_not_found"
	WebhookCreationFailed = "webhook_creation_failed"
	WebhookDeleteFailed   = "webhook_delete_failed"
	WebhookListFailed     = "webhook_list_failed"
	WebhookUnavailable    = "webhook_unavailable"

	IntelligenceNotFound    = "intelligence_not_found"
	IntelligenceQueryFailed = "intelligence_query_failed"
	IntelligenceStatsFailed = "intelligence_stats_failed"
	IntelligenceUnavailable = "intelligence_unavailable"

	AuditQueryFailed    = "audit_query_failed"
	AuditStatsFailed    = "audit_stats_failed"
	AuditTimelineFailed = "audit_timeline_failed"
	AuditUnavailable    = "audit_unavailable"

	LearningDetectionFailed  = "learning_detection_failed"
	LearningQueryFailed      = "learning_query_failed"
	LearningSuggestionFailed = "learning_suggestion_failed"
	LearningUnavailable      = "learning_unavailable"

	DiagnosisFailed      = "diagnosis_failed"
	DiagnosisUnavailable = "diagnosis_unavailable"

	PreconditionsCheckFailed = "preconditions_check_failed"
	PreconditionsUnavailable = "preconditions_unavailable"

	AssessmentMissingTask = "assessment_missing_task"

	RoutingUnavailable = "routing_unavailable"
)
