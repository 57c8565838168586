"""What to cite for a recipe, as BibTeX."""

from dataclasses import dataclass

from offramp.recipe import Recipe


@dataclass(frozen=True)
class Work:
    """A publication; `where` is what BibTeX calls journal or booktitle, with a note where it needs one."""

    key: str
    kind: str
    title: str
    authors: str
    where: str
    year: int
    url: str = ""

    def bibtex(self) -> str:
        """The entry.

        >>> print(WORKS["branchynet"].bibtex().splitlines()[0])
        @inproceedings{branchynet,
        """
        place = {"article": "journal", "inproceedings": "booktitle"}.get(self.kind, "howpublished")
        fields = {"title": f"{{{self.title}}}", "author": self.authors, place: self.where, "year": str(self.year)}
        if self.url:
            fields["url"] = self.url
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@{self.kind}{{{self.key},\n{lines}\n}}"


WORKS = {
    work.key: work
    for work in (
        Work(
            "selfxit",
            "article",
            "SelfXit: An Unsupervised Early Exit Mechanism for Deep Neural Networks",
            "KhademSohi, Hossein and Abedi, Mohammadamin and Ioannou, Yani and Drew, Steve and Jamshidi, Pooyan and "
            "Hemmati, Hadi",
            "Transactions on Machine Learning Research",
            2024,
            "https://openreview.net/forum?id=h4rUKKfl5S",
        ),
        Work(
            "dyce",
            "article",
            "DyCE: Dynamically Configurable Exiting for Deep Learning Compression and Real-time Scaling",
            "Wang, Qingyuan and Cardiff, Barry and Frapp{\\'e}, Antoine and Larras, Benoit and John, Deepu",
            "arXiv:2403.01695",
            2024,
            "https://arxiv.org/abs/2403.01695",
        ),
        Work(
            "tinysaver",
            "article",
            "Tiny Models are the Computational Saver for Large Models",
            "Wang, Qingyuan and Cardiff, Barry and Frapp{\\'e}, Antoine and Larras, Benoit and John, Deepu",
            "arXiv:2403.17726",
            2024,
            "https://arxiv.org/abs/2403.17726",
        ),
        Work(
            "committees",
            "inproceedings",
            "Wisdom of Committees: An Overlooked Approach To Faster and More Accurate Models",
            "Wang, Xiaofang and Kondratyuk, Dan and Christiansen, Eric and Kitani, Kris M. and Alon, Yair and "
            "Eban, Elad",
            "International Conference on Learning Representations",
            2022,
            "https://arxiv.org/abs/2012.01988",
        ),
        Work(
            "jei-dnn",
            "inproceedings",
            "Jointly-Learned Exit and Inference for a Dynamic Neural Network: JEI-DNN",
            "Regol, Florence and Chataoui, Joud and Coates, Mark",
            "International Conference on Learning Representations",
            2024,
            "https://arxiv.org/abs/2310.09163",
        ),
        Work(
            "regimes",
            "inproceedings",
            "How to Train Your Multi-Exit Model? Analyzing the Impact of Training Strategies",
            "Kubaty, Piotr and W{\\'o}jcik, Bartosz and Krzepkowski, Bart{\\l}omiej and Michaluk, Monika and "
            "Trzci{\\'n}ski, Tomasz and Pomponi, Jary and Adamczewski, Kamil",
            "International Conference on Machine Learning",
            2025,
            "https://arxiv.org/abs/2407.14320",
        ),
        Work(
            "branchynet",
            "inproceedings",
            "BranchyNet: Fast Inference via Early Exiting from Deep Neural Networks",
            "Teerapittayanon, Surat and McDanel, Bradley and Kung, H. T.",
            "International Conference on Pattern Recognition",
            2016,
        ),
        Work(
            "sdn",
            "inproceedings",
            "Shallow-Deep Networks: Understanding and Mitigating Network Overthinking",
            "Kaya, Yigitcan and Hong, Sanghyun and Dumitras, Tudor",
            "International Conference on Machine Learning",
            2019,
        ),
        Work(
            "gati",
            "article",
            "Accelerating Deep Learning Inference via Learned Caches",
            "Balasubramanian, Arjun and Kumar, Adarsh and Liu, Yuhan and Cao, Han and Venkataraman, Shivaram and "
            "Akella, Aditya",
            "arXiv:2101.07344",
            2021,
            "https://arxiv.org/abs/2101.07344",
        ),
        Work(
            "pabee",
            "inproceedings",
            "BERT Loses Patience: Fast and Robust Inference with Early Exit",
            "Zhou, Wangchunshu and Xu, Canwen and Ge, Tao and McAuley, Julian and Xu, Ke and Wei, Furu",
            "Advances in Neural Information Processing Systems",
            2020,
        ),
        Work(
            "ztw",
            "inproceedings",
            "Zero Time Waste: Recycling Predictions in Early Exit Neural Networks",
            "Wo{\\l}czyk, Maciej and W{\\'o}jcik, Bartosz and Ba{\\l}azy, Klaudia and Podolak, Igor T. and "
            "Tabor, Jacek and {\\'S}mieja, Marek and Trzci{\\'n}ski, Tomasz",
            "Advances in Neural Information Processing Systems",
            2021,
            "https://arxiv.org/abs/2106.05409",
        ),
        Work(
            "eenet",
            "inproceedings",
            "Adaptive Deep Neural Network Inference Optimization with EENet",
            "Ilhan, Fatih and Chow, Ka-Ho and Hu, Sihao and Huang, Tiansheng and Tekin, Selim and Wei, Wenqi and "
            "Wu, Yanzhao and Lee, Myungjin and Kompella, Ramana and Latapie, Hugo and Liu, Gaowen and Liu, Ling",
            "IEEE/CVF Winter Conference on Applications of Computer Vision",
            2024,
        ),
        Work(
            "optuna",
            "inproceedings",
            "Optuna: A Next-generation Hyperparameter Optimization Framework",
            "Akiba, Takuya and Sano, Shotaro and Yanase, Toshihiko and Ohta, Takeru and Koyama, Masanori",
            "ACM SIGKDD International Conference on Knowledge Discovery and Data Mining",
            2019,
        ),
        Work(
            "distillation",
            "article",
            "Distilling the Knowledge in a Neural Network",
            "Hinton, Geoffrey and Vinyals, Oriol and Dean, Jeff",
            "arXiv:1503.02531",
            2015,
            "https://arxiv.org/abs/1503.02531",
        ),
        Work(
            "temperature",
            "inproceedings",
            "On Calibration of Modern Neural Networks",
            "Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.",
            "International Conference on Machine Learning",
            2017,
        ),
        Work(
            "risk-control",
            "inproceedings",
            "Fast yet Safe: Early-Exiting with Risk Control",
            "Jazbec, Metod and Timans, Alexander and Hadi Veljkovi{\\'c}, Tin and Sakmann, Kaspar and Zhang, Dan and "
            "Naesseth, Christian A. and Nalisnick, Eric",
            "Advances in Neural Information Processing Systems",
            2024,
        ),
        Work(
            "ltt",
            "article",
            "Learn then Test: Calibrating Predictive Algorithms to Achieve Risk Control",
            "Angelopoulos, Anastasios N. and Bates, Stephen and Cand{\\`e}s, Emmanuel J. and Jordan, Michael I. and "
            "Lei, Lihua",
            "arXiv:2110.01052",
            2021,
            "https://arxiv.org/abs/2110.01052",
        ),
    )
}

ALWAYS = ("ltt", "risk-control")
"""Whatever the recipe, its operating points are certified with these."""


def cited(recipe: Recipe) -> list[Work]:
    """The works a recipe stands on, its own first, then calibration and certificates."""
    calibration = ("temperature",) if recipe.calibrator == "temperature" else ()
    return [WORKS[key] for key in dict.fromkeys((*recipe.cites, *calibration, *ALWAYS))]
