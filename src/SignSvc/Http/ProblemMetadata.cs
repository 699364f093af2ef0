using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

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

    /// <summary>Whoever is refused for now learns when to ask again, at every endpoint alike.</summary>
    internal static Task DescribeRetryAfter(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        foreach (var (status, response) in operation.Responses ?? [])
        {
            if (status is not ("429" or "503") || response is not OpenApiResponse described)
                continue;
            described.Headers ??= new Dictionary<string, IOpenApiHeader>(StringComparer.Ordinal);
            described.Headers["Retry-After"] = new OpenApiHeader
            {
                Description = "Seconds after which to ask again.",
                Schema = new OpenApiSchema { Type = JsonSchemaType.Integer, Minimum = "1" },
            };
        }

        return Task.CompletedTask;
    }

    private static ProducesResponseTypeMetadata Refusal(int status) =>
        new(status, typeof(ProblemDetails), ["application/problem+json"]);
}
