from schemathesis import Check

content_type_conformance: Check
response_headers_conformance: Check
response_schema_conformance: Check
status_code_conformance: Check
