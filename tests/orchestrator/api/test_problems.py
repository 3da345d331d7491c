def test_an_error_raised_on_purpose_is_a_problem_document(door):
    answer = door.ask("GET", "/api/busy", door.bearer)
    assert answer.status == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "3"
    assert answer.json == {
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "code": "too_many_requests",
        "detail": "Too many turns run. Wait.",
        "retryable": True,
        "retry_after_s": 2.5,
    }


def test_a_wrong_field_is_named_and_its_value_is_not_repeated(door):
    answer = door.ask("POST", "/api/sessions", door.bearer, {"text": {"secret": "Sesame"}})
    assert (answer.status, answer.json["code"]) == (422, "invalid_request")
    assert answer.json["errors"][0]["field"] == "text"
    assert answer.json["detail"].startswith("text: ")
    assert "Sesame" not in answer.body.decode()


def test_a_body_that_is_not_json_is_named(door):
    headers = {**door.bearer, "Content-Type": "application/json"}
    answer = door.ask("POST", "/api/sessions", headers, body=b"{")
    assert answer.status == 422
    assert answer.json["detail"] == "body: is not valid JSON"


def test_an_unknown_path_is_named(door):
    answer = door.ask("GET", "/api/nowhere", door.bearer)
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert "/api/nowhere" in answer.json["detail"]


def test_405_lists_the_methods_of_all_routes_of_the_path(door):
    answer = door.ask("PUT", "/api/sessions/ses_1", door.bearer)
    assert answer.status == 405
    assert answer.headers["allow"] == "PATCH, DELETE"
    assert door.ask("PUT", "/api/auth/tokens", door.bearer).headers["allow"] == "GET, POST"


def test_an_unexpected_error_is_masked_and_its_id_is_in_the_log(door, caplog):
    answer = door.ask("GET", "/api/crash", door.bearer)
    assert answer.status == 500
    assert "42" not in answer.body.decode()
    assert answer.json["error_id"] in answer.json["detail"]
    [record] = [entry for entry in caplog.records if entry.exc_info]
    assert answer.json["error_id"] in record.getMessage()


def test_every_declared_answer_of_a_route_is_a_problem_document(door):
    document = door.ask("GET", "/api/openapi.json", door.bearer).json
    answers = document["paths"]["/api/auth/tokens"]["post"]["responses"]
    assert {"400", "401", "403", "409", "413", "415", "421", "422", "500", "507"} <= set(answers)
    for status, answer in answers.items():
        if status != "201":
            schema = answer["content"]["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}
            assert list(answer["content"]) == ["application/problem+json"]
    assert "code" in document["components"]["schemas"]["Problem"]["properties"]
