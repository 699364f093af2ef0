using System.Collections;
using System.Globalization;
using System.Reflection;

namespace SignSvc.Operations;

/// <summary>A setting, or a whole section, that a running service takes over when it changes; all others count from the next start.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class ReloadableAttribute : Attribute;

/// <summary>Settings as lines, <c>Access:Issuers:0:Name</c> and its value: to compare those of two times with each other.</summary>
internal static class FlatSettings
{
    public sealed record Line(string Value, bool IsReloadable);

    public static Dictionary<string, Line> Of(object settings)
    {
        var lines = new Dictionary<string, Line>(StringComparer.Ordinal);
        Add(lines, "", settings, isReloadable: false);
        return lines;
    }

    /// <summary>Equal where all settings of two sections are.</summary>
    public static string TextOf(object section) => string.Join('\n', Of(section).Select(l => $"{l.Key}={l.Value.Value}"));

    private static void Add(Dictionary<string, Line> lines, string path, object? value, bool isReloadable)
    {
        switch (value)
        {
            case null:
                return;
            case string or Enum or IFormattable or bool or Uri:
                lines[path] = new Line(Convert.ToString(value, CultureInfo.InvariantCulture)!, isReloadable);
                return;
            case IDictionary entries:
                foreach (DictionaryEntry entry in entries)
                    Add(lines, $"{path}:{entry.Key}", entry.Value, isReloadable);
                return;
            case IEnumerable items:
                var at = 0;
                foreach (var item in items)
                    Add(lines, $"{path}:{at++}", item, isReloadable);
                return;
        }

        foreach (var property in value.GetType().GetProperties(BindingFlags.Instance | BindingFlags.Public))
        {
            // What can be bound: all else is reckoned from it.
            if (property.CanWrite || property.PropertyType.IsGenericType)
                Add(lines, path.Length == 0 ? property.Name : $"{path}:{property.Name}", property.GetValue(value), isReloadable || property.IsDefined(typeof(ReloadableAttribute)));
        }
    }
}
