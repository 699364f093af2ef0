using SignSvc.Signing.Artifacts;

namespace SignSvc.Cli.Signing;

/// <summary>Where a pipeline says it is, from the variables that its system sets: for policy and audit, where nothing else was said.</summary>
internal static class PipelineFacts
{
    public static SigningContext AddTo(SigningContext context) => context with
    {
        Repository = context.Repository ?? First("GITHUB_REPOSITORY", "CI_PROJECT_PATH"),
        Commit = context.Commit ?? First("GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT"),
        Ref = context.Ref ?? First("GITHUB_REF", "CI_COMMIT_REF_NAME", "GIT_BRANCH"),
        Run = context.Run ?? First("GITHUB_RUN_ID", "CI_PIPELINE_ID", "BUILD_TAG"),
    };

    /// <summary>What no context takes is left out.</summary>
    private static string? First(params ReadOnlySpan<string> variables)
    {
        foreach (var variable in variables)
        {
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 and <= SigningContext.MaxTextLength } value && !value.Any(char.IsControl))
                return value;
        }

        return null;
    }
}
