//! Standing checks that are written in code.
use crate::model::words::words;

words! {
    /// A standing check that is written in code. Each decides one requirement.
    ///
    /// A member that the schema of the answer's status describes is judged by that schema, and
    /// not a second time by a rule; [`Rule::RetryAfterMsType`] is for answers
    /// whose status has no schema. Only `errcode` is judged by both: a client that meets a
    /// standard error needs it, whichever call it made. A body that is no
    /// JSON object is a finding of [`Rule::JsonObject`] and of nothing else that looks into it.
    pub enum Rule {
        /// The body is one JSON object.
        JsonObject = "json_object",
        /// A JSON answer says `application/json`.
        MediaType = "media_type",
        /// A JSON answer is UTF-8.
        Utf8 = "utf8",
        /// A 4xx or 5xx is a standard error object.
        ErrorObject = "error_object",
        /// A standard error has a string `errcode`, described by a schema or not.
        Errcode = "errcode",
        /// A standard error has a string `error`, described by a schema or not.
        ErrorText = "error_text",
        /// `errcode` has the form of one, and is a known one if it begins `M_`.
        ErrcodeNamespace = "errcode_namespace",
        /// A request that is no JSON object or breaks the published request schema is not answered
        /// with a 5xx.
        MalformedNo5xx = "malformed_no_5xx",
        /// `POST /login` is not answered with a challenge of interactive auth.
        LoginNoUia = "login_no_uia",
        /// `POST /register` for a user does not succeed without auth data.
        RegisterUia = "register_uia",
        /// `M_RESOURCE_LIMIT_EXCEEDED` has `admin_contact`.
        ResourceLimit = "resource_limit",
        /// `M_USER_LIMIT_EXCEEDED` has a string `info_uri`.
        UserLimit = "user_limit",
        /// `can_upgrade` of `M_USER_LIMIT_EXCEEDED` is a boolean where it is there.
        CanUpgrade = "can_upgrade",
        /// `soft_logout` is a boolean where it is there, and the status is 401.
        SoftLogout = "soft_logout",
        /// `Access-Control-Allow-Origin`, where it is there, lets the origin of the request in.
        CorsOrigin = "cors_origin",
        /// A 2xx has `Access-Control-Allow-Origin`.
        CorsActual = "cors_actual",
        /// A 4xx or 5xx has `Access-Control-Allow-Origin`.
        CorsError = "cors_error",
        /// A 429 says `M_LIMIT_EXCEEDED`.
        RateLimitErrcode = "rate_limit_errcode",
        /// `M_LIMIT_EXCEEDED` comes with 429.
        RateLimitStatus = "rate_limit_status",
        /// A 429 has `Retry-After`.
        RetryAfterPresent = "retry_after_present",
        /// `Retry-After` of a 429 is a number of seconds or an HTTP date.
        RetryAfterGrammar = "retry_after_grammar",
        /// `retry_after_ms` of a 429 is an integer where it is there.
        RetryAfterMsType = "retry_after_ms_type",
        /// `retry_after_ms` of a 429 is not negative where it is a number.
        RetryAfterMsRange = "retry_after_ms_range",
        /// A 429 has `retry_after_ms`.
        RetryAfterMsPresent = "retry_after_ms_present",
        /// `Retry-After` and `retry_after_ms` of a 429 agree.
        RateLimitConsistent = "rate_limit_consistent",
    }
}
