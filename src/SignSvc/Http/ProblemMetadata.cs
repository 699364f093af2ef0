using Microsoft.AspNetCore.Mvc;

namespace SignSvc.Http;

/// <summary>What the OpenAPI document says of refusals, the same for every endpoint.</summary>
public static class ProblemMetadata
{
    public static RouteGroupBuilder WithProblems(this RouteGroupBuilder group)
    {
        group.WithMetadata(
            Refusal(400), Refusal(401), Refusal(403), Refusal(404), Refusal(409), Refusal(413), Refusal(429), Refusal(503));
        return group;
    }

    private static ProducesResponseTypeMetadata Refusal(int status) =>
        new(status, typeof(ProblemDetails), ["application/problem+json"]);
}
