package ai.djl.nestquant;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.testng.Assert;
import org.testng.annotations.Test;

/** The packages depend on each other as docs/ARCHITECTURE.md says, and on nothing else. */
public class ArchitectureTest {

    private static final Path SOURCES = Path.of("src", "main", "java", "ai", "djl", "nestquant");
    private static final Pattern IMPORT =
            Pattern.compile("^import (?:static )?ai\\.djl\\.(nestquant\\.)?([a-z]+)?.*;");
    private static final String DJL = "ai.djl";

    private static final Map<String, Set<String>> MAY_USE =
            Map.ofEntries(
                    Map.entry("lattice", Set.of()),
                    Map.entry("linalg", Set.of()),
                    Map.entry("rotation", Set.of()),
                    Map.entry("codec", Set.of("lattice", "rotation")),
                    Map.entry("kernels", Set.of("rotation", "codec")),
                    Map.entry("calibration", Set.of("linalg", "codec")),
                    Map.entry("checkpoint", Set.of(DJL)),
                    Map.entry(
                            "model",
                            Set.of(
                                    "lattice",
                                    "rotation",
                                    "codec",
                                    "kernels",
                                    "calibration",
                                    "checkpoint",
                                    DJL)),
                    Map.entry("engine", Set.of("checkpoint", "model", "kernels", DJL)),
                    Map.entry(
                            "pipeline",
                            Set.of(
                                    "lattice",
                                    "rotation",
                                    "codec",
                                    "kernels",
                                    "checkpoint",
                                    "model",
                                    "engine",
                                    DJL)),
                    Map.entry(
                            "cli",
                            Set.of("kernels", "checkpoint", "model", "engine", "pipeline", DJL)));

    @Test
    public void importsFollowTheArrows() throws IOException {
        List<String> violations = new ArrayList<>();
        int files = 0;
        try (Stream<Path> sources = Files.walk(SOURCES)) {
            for (Path file : sources.filter(f -> f.toString().endsWith(".java")).toList()) {
                files++;
                check(file, violations);
            }
        }
        Assert.assertTrue(files > 50, "found only " + files + " files under " + SOURCES);
        Assert.assertEquals(violations, List.of());
    }

    private static void check(Path file, List<String> violations) throws IOException {
        String from = SOURCES.relativize(file).getName(0).toString();
        Set<String> allowed = MAY_USE.get(from);
        Assert.assertNotNull(allowed, "docs/ARCHITECTURE.md does not know the package " + from);
        for (String line : Files.readAllLines(file)) {
            Matcher matcher = IMPORT.matcher(line);
            if (matcher.matches()) {
                String to = matcher.group(1) == null ? DJL : matcher.group(2);
                if (!to.equals(from) && !allowed.contains(to)) {
                    violations.add(file.getFileName() + ": " + line);
                }
            }
        }
    }
}
