"""twinpix: find the same picture twice.

    import twinpix
    encoder = twinpix.load_encoder()            # the shipped model, or a path to a .onnx
    v = encoder("a.jpg")                        # float32 (dim,), norm 1
    match = twinpix.compare("a.jpg", "b.jpg")   # .l2_distance .threshold .is_duplicate
    twinpix.explain("a.jpg", "b.jpg").sentence  # what the one is to the other; .reasons .metrics .save("why.html")
    report = twinpix.find_duplicates("./dir")   # .groups .matches .skipped .threshold
    found = twinpix.search("a.jpg", "./dir")    # .nearest
    library = twinpix.Library()                 # .add("./dir"): no picture is encoded twice
    plan = twinpix.make_plan(report)            # what stays, what goes; .apply_plan(plan, yes=True), .undo(yes=True)
    pipe = twinpix.image_encoding()             # pipe("a.jpg"), pipe.is_duplicate("a.jpg", "b.jpg")

Each name is loaded at its first use (`__init__.pyi` says from where). Even all of them load no FAISS, no ONNX Runtime
and no torch; the first call does.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
