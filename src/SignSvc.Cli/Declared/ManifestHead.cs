using SignSvc.Signing.Keys;

namespace SignSvc.Cli.Declared;

/// <summary>What both kinds of manifests share.</summary>
internal static class ManifestHead
{
    private const int MaxLabels = 100;

    /// <summary>Labels are Kubernetes' own and mean nothing here; of annotations one that begins with <see cref="ManagedTags.Prefix"/> may.</summary>
    public static (string Name, string? Namespace, Dictionary<string, string> Annotations) ReadMetadata(
        Members document, string? ourAnnotation)
    {
        document.Text("apiVersion");
        document.Text("kind");
        var metadata = document.RequiredMap("metadata");
        var name = metadata.RequiredText("name");
        if (!KeyName.IsValid(name))
            throw metadata.Place.Refuse($"{name} is no name of a key: [a-z0-9][a-z0-9._-]{{0,62}}, and not a UUID.");
        var space = metadata.Text("namespace");
        metadata.TextMap("labels", MaxLabels);
        var annotations = metadata.TextMap("annotations", MaxLabels);
        metadata.Ignore(
            "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generation", "managedFields", "ownerReferences",
            "resourceVersion", "selfLink", "uid");
        metadata.End();
        if (annotations?.Keys.FirstOrDefault(a => ManagedTags.IsOurs(a) && !string.Equals(a, ourAnnotation, StringComparison.Ordinal)) is { } unknown)
            throw metadata.Place.Refuse($"The annotation {unknown} means nothing here{(ourAnnotation is null ? "" : $"; known is {ourAnnotation}")}.");
        return (name, space, annotations ?? []);
    }

    public static Dictionary<string, string>? ReadTags(Members spec)
    {
        var tags = spec.TextMap("tags", DeclaredKey.MaxTags);
        return tags?.Keys.FirstOrDefault(ManagedTags.IsOurs) is { } ours
            ? throw spec.Place.Refuse($"The tag {ours} is not yours to set: {ManagedTags.Prefix} is where 'signsvc apply' keeps its record.")
            : tags;
    }
}
