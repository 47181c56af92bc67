"""A pod without a cluster: root file system, user and volumes are as its manifest says.

The image is this machine's programs and this test's Python, mounted for reading in an empty root.
Only what docs/kubernetes uses is understood; everything else in a manifest is an error here.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import sluicegate

AIRFLOW_HOME = "/opt/airflow"
IMAGE = ("/usr", "/etc")
LINKS = tuple(map(Path, ("/bin", "/lib", "/lib64", "/sbin")))
USERS = "root:x:0:0::/root:/bin/sh\nairflow:x:50000:0::/home/airflow:/bin/sh\n"
"""Airflow refuses to run as a user without a name; its image has this one."""
UNDERSTOOD = {
    "spec": {
        "containers",
        "restartPolicy",
        "automountServiceAccountToken",
        "securityContext",
        "volumes",
    },
    "security": {"runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup"},
    "container": {"name", "image", "args", "securityContext", "env", "envFrom", "volumeMounts"},
}


def can_be_run():
    """Return whether this process may make mounts of its own."""
    made = subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True)
    return os.geteuid() == 0 and made.returncode == 0


needs_mounts = pytest.mark.skipif(
    sys.platform != "linux" or not can_be_run(), reason="only root can make mounts"
)


class Pod:
    """One container, as the kubelet would run it.

    Args:
        manifest: Of the pod, as JSON types.
        secrets: Values by name of the secret and key.
        config_maps: The same.
        image: Further paths of this machine that lie in the image, by their place there.
        variables: Of the image.
        root: An empty directory.
    """

    def __init__(self, manifest, *, secrets, config_maps, image, variables, root):
        self._spec = understood(manifest["spec"], "spec")
        self._user = understood(self._spec["securityContext"], "security")
        (self._container,) = self._spec["containers"]
        understood(self._container, "container")
        self._secrets, self._config_maps = secrets, config_maps
        self._image, self._variables, self._root = image, variables, root / "root"
        self._volumes = root / "volumes"

    def run(self, *args):
        """Run the container, or another program in it; returns the finished process."""
        command = self._command(args or self._container["args"])
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=240)

    def _command(self, args):
        script = "\n".join([*self._mounted(), self._entered(args)])
        return ["unshare", "--mount", "--propagation", "private", "bash", "-euc", script]

    def _mounted(self):
        """Yield the commands that make the root file system."""
        root = shlex.quote(str(self._root))
        yield f"mkdir -p {root} && mount -t tmpfs -o mode=0755 image {root}"
        yield f"mkdir -p {root}/proc {root}/dev && mount --rbind /proc {root}/proc"
        yield f"mount --rbind /dev {root}/dev"
        for link in LINKS:
            if link.is_symlink():
                yield f"ln -s {link.readlink()} {root}{link}"
        users = self._root.parent / "passwd"
        users.write_text(USERS)
        image = {path: path for path in IMAGE} | self._image | {"/etc/passwd": users}
        for place, path in image.items():
            yield from bound(path, f"{self._root}{place}", read_only=True)
        mounted = {volume["name"]: self._volume(volume) for volume in self._spec["volumes"]}
        for mount in self._container["volumeMounts"]:
            path = mounted[mount["name"]] / mount.get("subPath", "")
            read_only = mount.get("readOnly", False)
            yield from bound(path, f"{self._root}{mount['mountPath']}", read_only=read_only)
        if self._container["securityContext"]["readOnlyRootFilesystem"]:
            yield f"mount -o remount,ro {root}"

    def _volume(self, volume):
        """Make a volume as the kubelet lays it; returns its directory."""
        place = self._volumes / volume["name"]
        group = self._user["fsGroup"]
        if place.exists():
            return place
        place.mkdir(parents=True)
        if "emptyDir" in volume:
            os.chown(place, 0, group)
            place.chmod(0o2777)
            return place
        if "secret" in volume:
            source = volume["secret"]
            self._projected(
                place, self._secrets[source["secretName"]], source["defaultMode"], group
            )
        else:
            self._projected(place, self._config_maps[volume["configMap"]["name"]], 0o644, group)
        return place

    @staticmethod
    def _projected(place, values, mode, group):
        """Write values as files that are root's and the group's, behind the kubelet's two links."""
        real = place / "..2026_01_01"
        real.mkdir(mode=0o755)
        (place / "..data").symlink_to(real.name)
        for key, value in values.items():
            (real / key).write_text(value)
            (real / key).chmod(mode)
            os.chown(real / key, 0, group)
            (place / key).symlink_to(f"..data/{key}")

    def _environment(self):
        found = {
            "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
            "HOME": "/home/airflow",
            "AIRFLOW_HOME": AIRFLOW_HOME,
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            **self._variables,
        }
        for group in self._container.get("envFrom", ()):
            found |= self._secrets.get(group["secretRef"]["name"], {})
        for variable in self._container["env"]:
            if "value" in variable:
                found[variable["name"]] = variable["value"]
            else:
                reference = variable["valueFrom"]["secretKeyRef"]
                found[variable["name"]] = self._secrets[reference["name"]][reference["key"]]
        return found

    def _entered(self, args):
        """Return the command that gives up everything, and runs the container's."""
        security = self._container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert self._user["runAsNonRoot"]
        assert self._user["runAsUser"] != 0
        user = [f"--reuid={self._user['runAsUser']}", f"--regid={self._user['runAsGroup']}"]
        user += [f"--groups={self._user['fsGroup']}", "--bounding-set=-all", "--no-new-privs"]
        variables = [f"{name}={value}" for name, value in self._environment().items()]
        enter = ["exec", "chroot", str(self._root), "setpriv", *user, "env", "-i", *variables]
        return shlex.join([*enter, *args])


def image_paths(dags):
    """Return what an image of this test's Python and some DAG files holds, by place."""
    package = Path(sluicegate.__file__).resolve().parents[1]
    own = (sys.base_prefix, sys.prefix, str(package), *python_path())
    return {**{path: path for path in own}, f"{AIRFLOW_HOME}/dags": str(dags)}


def python_path():
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def understood(part, name):
    """Return a part of a manifest that has nothing which would be passed over."""
    kept = {key: value for key, value in part.items() if value is not None}
    assert kept.keys() <= UNDERSTOOD[name], kept.keys() - UNDERSTOOD[name]
    return kept


def bound(path, place, *, read_only):
    """Yield the commands that mount a file or directory at a place."""
    at, is_file = shlex.quote(place), Path(path).is_file()
    parent = shlex.quote(str(Path(place).parent))
    yield f"mkdir -p {parent}; [ -e {at} ] || touch {at}" if is_file else f"mkdir -p {at}"
    yield f"mount --bind {shlex.quote(str(path))} {at}"
    if read_only:
        yield f"mount -o remount,ro,bind {at}"
